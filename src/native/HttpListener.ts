/**
 * Accepts HTTP from the mesh and judges each request before the application sees it: what `MeshHttpServer` and
 * `PlainMesh` have in common.
 *
 *     accepted ─▶ verified ─▶ HTTP/1.1 or HTTP/2 ─▶ handler, which asks `admit` first
 *      (MeshListener)          (HttpConnections)      (RequestAdmission)
 *
 * Where the service's protocol is http, http2 or grpc, every request is judged by itself, and a change of intentions also
 * ends requests at hand, upgraded ones included. Otherwise the connection is judged, as by `MeshListener`.
 */
import { type Duration, Effect, FiberSet, type Scope, Stream } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Authorizer from "../intention/Authorizer.ts"
import * as Decision from "../intention/Decision.ts"
import * as DenialLog from "../intention/DenialLog.ts"
import type * as HttpRequest from "../intention/HttpRequest.ts"
import * as LineLimit from "../intention/LineLimit.ts"
import type * as PathNormalization from "../intention/PathNormalization.ts"
import * as Catalogue from "../metrics/Catalogue.ts"
import * as Meter from "../metrics/Meter.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import * as Intentions from "../watch/Intentions.ts"
import * as Watched from "../watch/Watched.ts"
import * as HttpConnections from "./HttpConnections.ts"
import type * as HttpExchange from "./HttpExchange.ts"
import * as HttpLimits from "./HttpLimits.ts"
import * as HttpMetrics from "./HttpMetrics.ts"
import type * as Listening from "./Listening.ts"
import * as MeshListener from "./MeshListener.ts"
import * as RequestAdmission from "./RequestAdmission.ts"

export interface Options
  extends Pick<MeshListener.Options<never>, "from" | "handshakeTimeout" | "maxConnections" | "reauthorize">
{
  /** Where to listen: an IP address. Default: `0.0.0.0`. */
  readonly host?: string | undefined
  /** 0: any free one. */
  readonly port: number
  /** What the application speaks, best first: nothing else is offered. */
  readonly protocols: ReadonlyArray<HttpConnections.Protocol>
  /** See `HttpConnections`. */
  readonly streams?: boolean | undefined
  /** Tells refused callers why, in `x-mesh-denied`. Default: true. */
  readonly reasonHeader?: boolean | undefined
  /** How paths are made canonical before they are judged and handled. Default: as Consul's. */
  readonly normalization?: PathNormalization.RequestNormalization | undefined
  readonly limits?: HttpLimits.HttpLimits | undefined
  /** How long requests at hand may go on once the scope closes. Default: 10 seconds. */
  readonly drain?: Duration.Input | undefined
}

/** Since the server opened. */
export interface Stats {
  readonly connections: MeshListener.Stats
  /** Requests that are being handled. */
  readonly handling: number
  /** Answered, by `source destination code`. */
  readonly requests: Readonly<Record<string, number>>
  /** Ended before their time, by reason: see `HttpExchange.Abuse`, or `denied`. */
  readonly aborted: Readonly<Record<string, number>>
}

export interface HttpListener {
  readonly host: string
  readonly port: number
  /** Whose requests are judged. */
  readonly service: () => string
  readonly stats: () => Stats
  /** Requests that were refused, by caller and rule, most frequent first; in audit mode, that would have been. */
  readonly denials: () => ReadonlyArray<DenialLog.Count>
  /** From now on requests go to `handlers`, which must ask `admit` before they do anything. */
  readonly attach: (handlers: HttpExchange.Handlers) => void
  /** Judges a request, now and again until it is over. */
  readonly admit: (exchange: HttpExchange.Exchange, raw: RequestAdmission.Raw) => RequestAdmission.Admission
  /** Sends clients elsewhere, and waits for the requests at hand, at most as long as `drain` says. */
  readonly drain: Effect.Effect<void>
}

/** Opens once intentions have arrived. */
export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<
  HttpListener,
  Listening.ListenError,
  SecureContexts.SecureContexts | Intentions.Intentions | Scope.Scope
> {
  const intentions = yield* Intentions.Intentions
  const authorizer = yield* Watched.ready(intentions)
  const context = yield* Effect.context<never>()
  const run = yield* FiberSet.makeRuntime()
  const drain = options.drain ?? "10 seconds"
  const handling = new Map<HttpExchange.Exchange, HttpRequest.HttpRequest>()
  const denials = DenialLog.make()
  const lines = LineLimit.make()
  let count = 0
  const metrics = yield* HttpMetrics.make("inbound", () => count)

  /** A flood of refusals is counted, and makes a line a minute for each kind. */
  const recordDenial = ({ connection }: HttpExchange.Exchange, decision: Decision.Decision) => {
    const caller = SpiffeId.display(connection.caller)
    const line = denials.record(caller, authorizer().destination.service, decision, performance.now())
    if (line === undefined) return
    const verdict = decision.allowed ? "let through, in audit mode," : "refused"
    run(Effect.annotateLogs(
      Effect.logWarning(`${verdict} a request of ${connection.remote}: ${DenialLog.format(line)}`),
      { reason: "denied", direction: "inbound" }
    ))
  }

  const refused = ({ connection }: HttpExchange.Exchange, { _tag }: RequestAdmission.Refused) => {
    const edge = { source: connection.caller.service, destination: authorizer().destination.service }
    Meter.count(Catalogue.requestRefusals, { ...edge, reason: RequestAdmission.reason[_tag] }, context).value++
  }

  const connections = yield* HttpConnections.make({
    limits: HttpLimits.complete(options.limits),
    protocols: options.protocols,
    streams: options.streams,
    abused: ({ caller, remote }, abuse) => {
      metrics.aborted(abuse)
      const leftOut = lines.admit(abuse, performance.now())
      if (leftOut === undefined) return
      const what = `ended a connection of ${SpiffeId.display(caller)} (${remote}): ${abuse}`
      run(Effect.annotateLogs(Effect.logWarning(`${what}${LineLimit.suffix(leftOut)}`), { reason: abuse }))
    },
    started: () => {
      count++
    },
    closed: (exchange) => {
      count--
      handling.delete(exchange)
      const { answer, code, connection, since } = exchange
      // The time that an upgraded connection was used for is not that of a request.
      metrics.answered(
        connection.caller.service,
        authorizer().destination.service,
        code,
        answer === undefined ? undefined : since
      )
    }
  })
  const listener = yield* MeshListener.make({
    host: options.host ?? "0.0.0.0",
    port: options.port,
    from: options.from,
    alpn: options.protocols,
    handle: connections.serve,
    drain: afterDrain,
    handshakeTimeout: options.handshakeTimeout,
    maxConnections: options.maxConnections,
    reauthorize: options.reauthorize
  }).pipe(Effect.provideService(Intentions.Intentions, byRequest(intentions)))

  yield* Effect.forkScoped(Stream.runForEach(intentions.changes, (current) => {
    const ended = new Set<string>()
    for (const [exchange, request] of handling) {
      const decision = current.request(exchange.connection.caller, request)
      if (decision.allowed) continue
      metrics.aborted("denied")
      ended.add(`${exchange.connection.caller.service} (${Decision.explain(decision)})`)
      exchange.abort()
    }
    return Effect.forEach(ended, (line) => Effect.logWarning(`ended requests of ${line}: the intentions changed`), {
      discard: true
    })
  }))

  return {
    host: listener.host,
    port: listener.port,
    service: () => authorizer().destination.service,
    stats: () => ({ connections: listener.stats(), handling: count, ...metrics.totals() }),
    denials: denials.counts,
    attach: connections.attach,
    admit: (exchange, raw) => {
      const admission = RequestAdmission.judge(authorizer(), exchange.connection.caller, raw, options.normalization)
      if (admission._tag !== "Admitted") refused(exchange, admission)
      if (admission._tag === "Denied") {
        exchange.denied = true
        recordDenial(exchange, admission.decision)
      } else if (admission._tag === "Admitted") {
        if (admission.decision.audited === true) recordDenial(exchange, admission.decision)
        handling.set(exchange, admission.request)
      }
      return admission
    },
    drain: Effect.sync(connections.drain).pipe(
      Effect.andThen(listener.stop),
      Effect.andThen(Effect.timeoutOption(listener.idle, drain)),
      Effect.asVoid
    )
  }
})

/** After the drain: for the last words of what was interrupted, such as the close of a WebSocket. */
const afterDrain = "500 millis"

/** Where requests are judged, everybody who is a service of the mesh may connect. */
const byRequest = (
  intentions: Watched.Watched<Authorizer.Authorizer>
): Watched.Watched<Authorizer.Authorizer> =>
  Watched.map(
    intentions,
    intentions.what,
    (authorizer) => authorizer.http ? { ...authorizer, connection: () => judgedByRequest } : authorizer
  )

const judgedByRequest = Decision.make(true, "needs-http", undefined, undefined, "each request is judged by itself")
