/** TLS towards the outside at a port of an API gateway, by the certificates of its entries. */
import { X509Certificate } from "node:crypto"
import type { Socket } from "node:net"
import * as Tls from "node:tls"
import { Effect, Function } from "effect"
import * as Splice from "../../net/Splice.ts"
import * as HandshakeFailure from "../../tls/HandshakeFailure.ts"
import type * as Refusal from "../../tls/Refusal.ts"
import type * as Ports from "./Ports.ts"

export interface TlsFront {
  /** A connection with its handshake done. Fails where there was none, and the connection is closed. */
  readonly accept: (transport: Socket) => Effect.Effect<Splice.Side, Refusal.Refusal>
  /** From now on, for new connections. Fails with what is wrong with a certificate. */
  readonly update: (tls: Ports.Tls) => void
}

interface Context {
  readonly certificate: X509Certificate
  readonly secure: Tls.SecureContext
}

export const make = (first: Ports.Tls, protocol: Ports.Port["protocol"], handshakeMillis: number): TlsFront => {
  let contexts = contextsOf(first)
  const contextFor = (name: string): Tls.SecureContext =>
    (contexts.find(({ certificate }) => certificate.checkHost(name) !== undefined) ?? contexts[0]!).secure
  /** Found again by their addresses, which Node's TLS has of them. */
  const waiting = new Map<string, (outcome: Tls.TLSSocket | Refusal.Refusal) => void>()
  const server = Tls.createServer({
    ...defaultsOf(first),
    handshakeTimeout: handshakeMillis,
    SNICallback: (name, done) => done(null, contextFor(name)),
    ...(protocol === "http" ? { ALPNProtocols: ["h2", "http/1.1"] } : {})
  })
  server.on("secureConnection", (socket) => {
    socket.on("error", Function.constVoid) // an "error" that nobody listens to ends the process
    socket.allowHalfOpen = true
    // This runs on OpenSSL's stack, where a socket can not be closed by all means.
    setImmediate(() => {
      const taken = waiting.get(keyOf(socket))
      if (taken === undefined) socket.destroy()
      else taken(socket.destroyed ? { _tag: "Disconnected" } : socket)
    })
  })
  server.on("tlsClientError", (error, socket) => {
    const refusal = HandshakeFailure.toRefusal(error, handshakeMillis)
    waiting.get(keyOf(socket))?.(refusal._tag === "NotTls" ? { _tag: "NotTls", outside: true } : refusal)
    socket.destroy()
  })
  return {
    update: (tls) => {
      contexts = contextsOf(tls)
      server.setSecureContext(defaultsOf(tls))
    },
    accept: (transport) =>
      Effect.callback((resume) => {
        const key = keyOf(transport)
        const settle = (outcome: Tls.TLSSocket | Refusal.Refusal) => {
          waiting.delete(key)
          transport.off("close", gone)
          resume("_tag" in outcome ? Effect.fail(outcome) : Effect.succeed(Splice.tls(outcome, transport)))
        }
        const gone = () => settle({ _tag: "Disconnected" })
        transport.once("close", gone)
        waiting.set(key, settle)
        // A client that leaves during the handshake has to be noticed. The TLS socket takes this over, until it is made.
        transport.allowHalfOpen = false
        server.emit("connection", transport)
        return Effect.sync(() => {
          waiting.delete(key)
          transport.destroy()
        })
      })
  }
}

const keyOf = ({ localAddress, localPort, remoteAddress, remotePort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

const defaultsOf = ({ certificates: [{ cert, key }], maxVersion, minVersion }: Ports.Tls) => ({
  cert,
  key,
  minVersion,
  maxVersion
})

const contextsOf = ({ certificates, maxVersion, minVersion }: Ports.Tls): ReadonlyArray<Context> =>
  certificates.map(({ cert, key }) => ({
    certificate: new X509Certificate(cert),
    secure: Tls.createSecureContext({ cert, key, minVersion, maxVersion })
  }))
