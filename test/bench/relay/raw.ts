/** One side of a pair of plain `node:tls` and `node:net`: the same certificates, cipher suites and half-closes, nothing else. */
import { constants } from "node:crypto"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Pair from "./Pair.ts"

const link = (one: Net.Socket, other: Net.Socket): void => {
  one.pipe(other)
  other.pipe(one)
  one.on("error", () => other.destroy())
  other.on("error", () => one.destroy())
}

Pair.serve((side) =>
  new Promise((resolve) => {
    const options = {
      cert: side.chainPem,
      key: side.keyPem,
      ca: side.rootPem,
      ciphers: side.ciphers,
      secureOptions: constants.SSL_OP_NO_TICKET
    }
    const target = { host: "127.0.0.1", port: side.target, noDelay: true, allowHalfOpen: true }
    const secureContext = Tls.createSecureContext(options)
    const server = side.role === "inbound"
      ? Tls.createServer(
        { ...options, requestCert: true, rejectUnauthorized: true, noDelay: true, allowHalfOpen: true },
        (socket) => link(socket, Net.connect(target))
      )
      : Net.createServer(
        { noDelay: true, allowHalfOpen: true },
        (socket) => link(socket, Tls.connect({ ...target, secureContext, checkServerIdentity: () => undefined }))
      )
    server.listen(0, "127.0.0.1", () => resolve((server.address() as Net.AddressInfo).port))
  })
)
