/** An application of its own, so that its descriptors are. Sends its port, and back what it gets. */
import * as Net from "node:net"

const server = Net.createServer((socket) => {
  socket.on("error", () => {})
  socket.pipe(socket)
})
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as Net.AddressInfo).port))
