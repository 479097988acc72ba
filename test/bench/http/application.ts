/**
 * The application behind the proxies, as cheap as it can be, so that it is not what is measured: raw sockets, answers that
 * are made beforehand, and of a request only what is needed to find its end.
 *
 * `GET /small` answers 24 bytes, `GET /large` 64 KiB, `POST` 24 bytes once its body is there, and `GET /seen` the lines
 * of the head as they arrived.
 */
import * as Net from "node:net"
import type * as Pair from "../relay/Pair.ts"

const answer = (body: Buffer, type = "application/json"): Buffer =>
  Buffer.concat([
    Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`),
    body
  ])

const small = answer(Buffer.from("{\"item\":\"lamp\",\"left\":3}"))
const large = answer(Buffer.alloc(65_536, "x"), "application/octet-stream")
const refused = Buffer.from("HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

const headEnd = Buffer.from("\r\n\r\n")

const serve = (socket: Net.Socket): void => {
  let rest: Buffer = Buffer.alloc(0)
  /** Bytes of the body of a request that are still to come. */
  let missing = 0
  const request = (head: Buffer): void => {
    switch (head.toString("latin1", 0, 10)) {
      case "GET /small":
        return void socket.write(small)
      case "GET /large":
        return void socket.write(large)
      case "GET /seen ":
        return void socket.write(answer(Buffer.from(JSON.stringify(head.toString("latin1").split("\r\n")))))
    }
    const length = /^content-length: *(\d+)/im.exec(head.toString("latin1"))?.[1]
    // Nobody between has a reason to cut a body of known length into chunks.
    if (length === undefined) return void socket.end(refused)
    missing = Number(length)
  }
  const take = (chunk: Buffer): void => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length > 0) {
      if (missing > 0) {
        const taken = Math.min(missing, rest.length)
        missing -= taken
        rest = rest.subarray(taken)
        if (missing === 0) socket.write(small)
        continue
      }
      const end = rest.indexOf(headEnd)
      if (end < 0) return
      request(rest.subarray(0, end))
      rest = rest.subarray(end + headEnd.length)
    }
  }
  socket.on("data", take)
  socket.on("error", () => {})
}

const server = Net.createServer({ noDelay: true }, serve)
server.listen(
  { host: "127.0.0.1", port: 0, backlog: 1024 },
  () => process.send?.({ port: (server.address() as Net.AddressInfo).port } satisfies Pair.Listening)
)
process.on("disconnect", () => process.exit(0))
