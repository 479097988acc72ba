/**
 * The way to a service outside of the mesh: one of its instances, over TCP, and over TLS where the entry of the gateway names an
 * authority. Its certificate has to lead there, and to have the name that the entry says.
 */
import { readFile } from "node:fs/promises"
import * as Tls from "node:tls"
import { Effect, type Scope } from "effect"
import type * as Catalog from "../../consul/Catalog.ts"
import type * as ConsulClient from "../../consul/ConsulClient.ts"
import * as Dial from "../../net/Dial.ts"
import * as Listening from "../../net/Listening.ts"
import * as Splice from "../../net/Splice.ts"
import * as DestinationWatch from "../../outbound/DestinationWatch.ts"
import * as DialError from "../../outbound/DialError.ts"
import * as TcpUpstream from "../../outbound/TcpUpstream.ts"
import * as Application from "../../sidecar/Application.ts"
import * as Endpoints from "../../watch/Endpoints.ts"

/** What the entry of the gateway says. */
export type Link = Pick<Catalog.GatewayService, "Service" | "CAFile" | "CertFile" | "KeyFile" | "SNI">

/** For logs: `billing`, `billing over TLS as billing.example, by /etc/ca.pem`. */
export const describe = ({ CAFile, CertFile, KeyFile, SNI, Service: { Name } }: Link): string =>
  CAFile === ""
    ? Name
    : `${Name} over TLS${SNI === "" ? "" : ` as ${SNI}`}, by ${
      [CAFile, CertFile, KeyFile].filter((file) => file !== "").join(", ")
    }`

export interface Options {
  readonly consul: ConsulClient.ConsulClient["Service"]
  readonly datacenter: string
  readonly link: () => Link
  readonly connectTimeoutMillis: () => number
}

/** Follows the instances in the scope. */
export const make = Effect.fnUntraced(function*(
  { connectTimeoutMillis, consul, datacenter, link }: Options
): Effect.fn.Return<Application.Connect, never, Scope.Scope> {
  const service = link().Service.Name
  const instances = yield* Endpoints.ofService(consul, service, datacenter)
  const upstream = yield* TcpUpstream.make({
    name: service,
    patienceMillis: connectTimeoutMillis(),
    follow: Effect.succeed(
      DestinationWatch.ofInstances(service, instances.what, instances, connectTimeoutMillis())
    )
  })
  const contextOf = contexts()
  return (_, version) =>
    upstream.connect((_, { address }, millis) => open(address, millis, link(), version, contextOf)).pipe(
      Effect.mapError(({ message, reason }) =>
        new Application.ApplicationUnreachable({
          address: service,
          code: reason._tag === "ConnectFailed" ? reason.code : message
        })
      )
    )
})

const open = (
  address: Listening.Bind,
  millis: number,
  link: Link,
  version: "1.1" | "2" | undefined,
  contextOf: Contexts
): Effect.Effect<Splice.Side, DialError.Reason> =>
  Effect.suspend(() => {
    const remote = Listening.format(address)
    const started = performance.now()
    const plain = Effect.mapError(Dial.connect(address, millis), (failure) =>
      failure._tag === "Refused"
        ? new DialError.ConnectFailed({ address: remote, code: failure.code })
        : new DialError.TimedOut({ what: `TCP connection with ${remote}`, millis }))
    if (link.CAFile === "") return plain
    return Effect.gen(function*() {
      const context = yield* contextOf(link)
      const side = yield* plain
      return yield* handshake(side, remote, link, version, context, Math.max(1, millis - (performance.now() - started)))
    })
  })

/** Undone when interrupted, and when it fails. */
const handshake = (
  side: Splice.Side,
  address: string,
  { SNI }: Link,
  version: "1.1" | "2" | undefined,
  secureContext: Tls.SecureContext,
  millis: number
): Effect.Effect<Splice.Side, DialError.Reason> =>
  Effect.callback((resume) => {
    const { reset, socket: transport } = side
    const fail = (reason: DialError.Reason) => {
      clearTimeout(timer)
      reset()
      resume(Effect.fail(reason))
    }
    const timer = setTimeout(
      () => fail(new DialError.TimedOut({ what: `TLS handshake with ${address}`, millis })),
      millis
    )
    const socket = Tls.connect({
      socket: transport as never,
      secureContext,
      rejectUnauthorized: true,
      ...(version === undefined ? {} : { ALPNProtocols: [version === "2" ? "h2" : "http/1.1"] }),
      // As in Consul: without a name there is none to check.
      ...(SNI === "" ? { checkServerIdentity: () => undefined } : { servername: SNI })
    })
    socket.on("error", (cause) =>
      fail(new DialError.HandshakeFailed({ address, reason: "untrusted", detail: cause.message })))
    socket.once("secureConnect", () => {
      clearTimeout(timer)
      // This runs on OpenSSL's stack, where a socket can not be closed by all means.
      setImmediate(() =>
        resume(Effect.succeed(Splice.tls(socket, transport as never)))
      )
    })
    return Effect.sync(() => {
      clearTimeout(timer)
      reset()
    })
  })

type Contexts = (link: Link) => Effect.Effect<Tls.SecureContext, DialError.Reason>

/** Files are read again for each connection, so that they can be replaced in place; what is read is understood once. */
const contexts = (): Contexts => {
  let last: { readonly texts: string; readonly context: Tls.SecureContext } | undefined
  return ({ CAFile, CertFile, KeyFile }) =>
    Effect.tryPromise({
      try: async () => {
        const [ca, cert, key] = await Promise.all(
          [CAFile, CertFile, KeyFile].map((file) => file === "" ? "" : readFile(file, "utf8"))
        )
        const texts = [ca, cert, key].join("\0")
        if (last?.texts !== texts) {
          const own = cert === "" ? {} : { cert: cert!, key: key! }
          last = { texts, context: Tls.createSecureContext({ ca: ca!, ...own }) }
        }
        return last.context
      },
      catch: (cause) =>
        new DialError.HandshakeFailed({
          address: CAFile,
          reason: "files",
          detail: `the files of its entry can not be used: ${cause instanceof Error ? cause.message : String(cause)}`
        })
    })
}
