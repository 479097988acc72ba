/** TLS towards the outside at a port of an API gateway, by the certificates of its entries. */
import { createPrivateKey, X509Certificate } from "node:crypto"
import type { Socket } from "node:net"
import * as Tls from "node:tls"
import { Effect, Function, Result, Schema } from "effect"
import * as Splice from "../../net/Splice.ts"
import * as HandshakeFailure from "../../tls/HandshakeFailure.ts"
import type * as Refusal from "../../tls/Refusal.ts"
import type * as Ports from "./Ports.ts"

/** A listener can not show this certificate. Passes when somebody writes its entry again. */
export class CertificateUnusable extends Schema.TaggedError<CertificateUnusable>()("CertificateUnusable", {
  listener: Schema.String,
  /** The name of the `inline-certificate`. */
  entry: Schema.String,
  why: Schema.String
}) {
  override readonly message =
    `the listener ${this.listener} can not use the inline-certificate ${this.entry}: ${this.why}. ` +
    "Write that entry again, with a certificate and its own key, both in PEM"
}

export interface TlsFront {
  /** A connection with its handshake done. Fails where there was none, and the connection is closed. */
  readonly accept: (transport: Socket) => Effect.Effect<Splice.Side, Refusal.Refusal>
  /** From now on, for new connections. Where it fails, those of before stay. */
  readonly update: (tls: Ports.Tls) => Effect.Effect<void, CertificateUnusable>
}

interface Context {
  readonly certificate: X509Certificate
  readonly secure: Tls.SecureContext
}

export const make = (
  first: Ports.Tls,
  protocol: Ports.Port["protocol"],
  handshakeMillis: number
): Effect.Effect<TlsFront, CertificateUnusable> =>
  Effect.map(Effect.fromResult(contextsOf(first)), (contexts) => over(contexts, first, protocol, handshakeMillis))

const over = (
  made: ReadonlyArray<Context>,
  first: Ports.Tls,
  protocol: Ports.Port["protocol"],
  handshakeMillis: number
): TlsFront => {
  let contexts = made
  const contextFor = (name: string): Tls.SecureContext =>
    (contexts.find(({ certificate }) => certificate.checkHost(name) !== undefined) ?? contexts[0]!).secure
  /** Found again by their addresses, which Node's TLS has of them. */
  const waiting = new Map<string, (outcome: Tls.TLSSocket | Refusal.Refusal) => void>()
  /** Of clients that have reset their connection since, whose addresses Node does not know any more: it closes next. */
  const unnamed: Array<Refusal.Refusal> = []
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
    const outcome: Refusal.Refusal = refusal._tag === "NotTls" ? { _tag: "NotTls", outside: true } : refusal
    const settle = waiting.get(keyOf(socket))
    if (settle !== undefined) settle(outcome)
    else if (outcome._tag !== "Disconnected" && waiting.size > 0) unnamed.push(outcome)
    socket.destroy()
  })
  return {
    update: (tls) =>
      Effect.map(Effect.suspend(() => Effect.fromResult(contextsOf(tls))), (made) => {
        contexts = made
        server.setSecureContext(defaultsOf(tls))
      }),
    accept: (transport) =>
      Effect.callback((resume) => {
        const key = keyOf(transport)
        const settle = (outcome: Tls.TLSSocket | Refusal.Refusal) => {
          waiting.delete(key)
          if (waiting.size === 0) unnamed.length = 0
          transport.off("close", gone)
          resume("_tag" in outcome ? Effect.fail(outcome) : Effect.succeed(Splice.tls(outcome, transport)))
        }
        const gone = () => settle(unnamed.shift() ?? { _tag: "Disconnected" })
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

/** What was made of each: there are several who ask. */
const asked = new WeakMap<Ports.Tls, Result.Result<ReadonlyArray<Context>, CertificateUnusable>>()

const contextsOf = (tls: Ports.Tls): Result.Result<ReadonlyArray<Context>, CertificateUnusable> => {
  const known = asked.get(tls)
  if (known !== undefined) return known
  const result = Result.all(tls.certificates.map((pair) => contextOf(pair, tls)))
  asked.set(tls, result)
  return result
}

/** Whether all of its certificates can be shown. */
export const isUsable = (tls: Ports.Tls): boolean => Result.isSuccess(contextsOf(tls))

const contextOf = (
  { cert, key, listener, name }: Ports.Pair,
  { maxVersion, minVersion }: Ports.Tls
): Result.Result<Context, CertificateUnusable> => {
  const attempt = <A>(make: () => A, why: (cause: unknown) => string) =>
    Result.try({ try: make, catch: (cause) => new CertificateUnusable({ listener, entry: name, why: why(cause) }) })
  return Result.gen(function*() {
    const certificate = yield* attempt(() => new X509Certificate(cert), () => "its Certificate is none in PEM")
    const own = yield* attempt(
      () => certificate.checkPrivateKey(createPrivateKey(key)),
      () => "its PrivateKey is none in PEM, or has a passphrase"
    )
    if (!own) {
      return yield* Result.fail(
        new CertificateUnusable({ listener, entry: name, why: "its PrivateKey is that of another certificate" })
      )
    }
    const secure = yield* attempt(
      () => Tls.createSecureContext({ cert, key, minVersion, maxVersion }),
      (cause) => `OpenSSL refuses it (${reasonOf(cause)})`
    )
    return { certificate, secure }
  })
}

/** `ee key too small` of OpenSSL's errors, which have it besides the message. */
const reasonOf = (cause: unknown): string =>
  cause instanceof Error ? "reason" in cause ? String(cause.reason) : cause.message : String(cause)
