/**
 * The application behind the relays. The first byte of a connection says what it does: `e` echoes, `s` is a source that
 * never ends.
 */
import * as Net from "node:net"

const block = Buffer.alloc(65_536, 1)

const source = (socket: Net.Socket): void => {
  const fill = () => {
    while (!socket.destroyed && socket.write(block));
  }
  socket.on("drain", fill)
  fill()
}

const server = Net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
  socket.on("error", () => {})
  socket.on("end", () => socket.end())
  socket.once("data", (first: Buffer) => {
    if (first[0] === 0x73) return source(socket)
    socket.write(first)
    socket.pipe(socket)
  })
})
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as Net.AddressInfo).port }))
process.on("disconnect", () => process.exit(0))
