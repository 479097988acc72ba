/**
 * Accepts HTTP from the mesh and judges each request before the application sees it: what `MeshHttpServer` and
 * `PlainMesh` have in common.
 *
 *     accepted ─▶ verified ─▶ HTTP/1.1 or HTTP/2 ─▶ judged ─▶ answered by the application, or refused
 *      (MeshListener)          (HttpConnections)      (RequestAdmission)
 *
 * Where the service's protocol is http, http2 or grpc, every request is judged by itself, and a change of intentions also
 * ends requests at hand, upgraded ones included. Otherwise the connection is judged, as by `MeshListener`.
 *
 * A token that a request was admitted with counts until the request is over, even if it expires before that.
 */
import { Context, Duration, Effect, FiberSet, type Scope, Stream } from "effect"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as Authorizer from "../../intention/Authorizer.ts"
import * as Decision from "../../intention/Decision.ts"
import * as DenialLog from "../../observe/DenialLog.ts"
import * as LineLimit from "../../observe/LineLimit.ts"
import type * as PathNormalization from "../../http/PathNormalization.ts"
import * as Catalogue from "../../observe/Catalogue.ts"
import * as Meter from "../../observe/Meter.ts"
import type * as SecureContexts from "../../tls/SecureContexts.ts"
import * as Intentions from "../../watch/Intentions.ts"
import type * as JwtProviders from "../../watch/JwtProviders.ts"
import * as Watched from "../../watch/Watched.ts"
import type * as AdmittedExchange from "./AdmittedExchange.ts"
import type * as Connection from "../Connection.ts"
import * as HttpConnections from "../../http/HttpConnections.ts"
import * as HttpLimits from "../../http/HttpLimits.ts"
import * as HttpMetrics from "../../observe/HttpMetrics.ts"
import type * as Listening from "../../net/Listening.ts"
import * as LogKeys from "../../observe/LogKeys.ts"
import * as MeshListener from "../MeshListener.ts"
import * as RefusalLines from "../../observe/RefusalLines.ts"
import * as RequestAdmission from "./RequestAdmission.ts"
import * as RequestChanges from "../../http/RequestChanges.ts"
import * as TokenAdmission from "./TokenAdmission.ts"
import * as RequestTokens from "./jwt/RequestTokens.ts"

export interface Options extends
  Pick<
    MeshListener.Options<never>,
    "from" | "handshakeTimeout" | "maxConnections" | "reauthorize" | "maxLifetime" | "lifetimeJitter"
  >
{
  /** Where to listen: an IP address. Default: `0.0.0.0`. */
  readonly host?: string | undefined
  /** 0: any free one. */
  readonly port: number
  /** What the application speaks, best first: nothing else is offered. */
  readonly protocols: ReadonlyArray<HttpConnections.Protocol>
  /** See `HttpConnections`. */
  readonly streams?: boolean | undefined
  /**
   * Tells refused callers why, in `x-mesh-denied`: which intention, what it looks at, what is wrong with a token. Default:
   * false, and the header says no more than that it was the mesh. `TestMesh` tells.
   */
  readonly reasonHeader?: boolean | undefined
  /** How paths are made canonical before they are judged and handled. Default: as Consul's. */
  readonly normalization?: PathNormalization.RequestNormalization | undefined
  readonly limits?: HttpLimits.HttpLimits | undefined
  /** How long requests at hand may go on once the scope closes. Default: 10 seconds. */
  readonly drain?: Duration.Input | undefined
}

/** The default of `reasonHeader`. */
export const TellsReasons = Context.Reference<boolean>("effect-mesh/native/HttpListener/TellsReasons", {
  defaultValue: () => false
})

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
  /** What is answered instead of handing a request to the application. */
  readonly refusal: (refused: RequestAdmission.Refused, contentType: string | undefined) => RequestAdmission.Answer
  readonly stats: () => Stats
  /** Requests that were refused, by caller and rule, most frequent first; in audit mode, that would have been. */
  readonly denials: () => ReadonlyArray<DenialLog.Count>
  /** From now on requests go to `handlers`, which must have them judged before they do anything. */
  readonly attach: (handlers: AdmittedExchange.Handlers) => void
  /**
   * Judges a request, now and again until it is over. `then` is called with the verdict: at once, or when the tokens that it
   * depends on have been verified and somebody still waits for the answer.
   */
  readonly judge: (
    exchange: AdmittedExchange.Exchange,
    raw: RequestAdmission.Raw,
    then: (concluded: RequestAdmission.Concluded) => void
  ) => void
  /** Sends clients elsewhere, and waits for the requests at hand, at most as long as `drain` says. */
  readonly drain: Effect.Effect<void>
}

/** Opens once intentions have arrived. */
export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<
  HttpListener,
  Listening.ListenError,
  SecureContexts.SecureContexts | Intentions.Intentions | JwtProviders.JwtProviders | Scope.Scope
> {
  const intentions = yield* Intentions.Intentions
  const authorizer = yield* Watched.ready(intentions)
  const context = yield* Effect.context<never>()
  const tokens = yield* RequestTokens.make
  const tellsReasons = options.reasonHeader ?? (yield* TellsReasons)
  const run = yield* FiberSet.makeRuntime()
  const drainMillis = Duration.toMillis(Duration.fromInputUnsafe(options.drain ?? "10 seconds"))
  const handling = new Map<AdmittedExchange.Exchange, RequestAdmission.Request>()
  /** Of requests at hand: of most of them nobody asked. */
  const presented = new Map<AdmittedExchange.Exchange, TokenAdmission.Presented>()
  const limits = yield* RefusalLines.RefusalLines
  const denials = DenialLog.make(limits)
  const lines = LineLimit.make(limits)
  let count = 0
  const metrics = yield* HttpMetrics.make("inbound", () => count)

  /** A flood of refusals is counted, and makes a line a minute for each kind. */
  const recordDenial = ({ connection }: AdmittedExchange.Exchange, decision: Decision.Decision) => {
    const caller = SpiffeId.display(connection.caller)
    const line = denials.record(caller, authorizer().destination.service, decision, performance.now())
    if (line === undefined) return
    const verdict = decision.allowed ? "let through, in audit mode," : "refused"
    run(Effect.annotateLogs(
      Effect.logWarning(`${verdict} a request of ${connection.remote}: ${DenialLog.format(line)}`),
      { ...keys(connection), reason: "denied" }
    ))
  }

  const recordMalformed = ({ connection }: AdmittedExchange.Exchange, why: string) => {
    const leftOut = lines.admit(why, performance.now())
    if (leftOut === undefined) return
    const what = `refused a request of ${SpiffeId.display(connection.caller)} (${connection.remote}): ${why}`
    run(Effect.annotateLogs(Effect.logWarning(`${what}${LineLimit.suffix(leftOut)}`), {
      ...keys(connection),
      reason: "malformed"
    }))
  }

  const keys = (connection: Connection.Connection) => ({
    direction: "inbound",
    service: authorizer().destination.service,
    ...LogKeys.peer(connection)
  })

  const countRefusal = ({ connection }: AdmittedExchange.Exchange, refused: RequestAdmission.Refused) => {
    const edge = { source: connection.caller.service, destination: authorizer().destination.service }
    Meter.count(Catalogue.requestRefusals, { ...edge, reason: RequestAdmission.reasonOf(refused) }, context).value++
  }

  const connections = yield* HttpConnections.make<Connection.Connection, RequestAdmission.Concluded>({
    limits: HttpLimits.complete(options.limits),
    protocols: options.protocols,
    streams: options.streams,
    abused: (connection, abuse) => {
      const { caller, remote } = connection
      metrics.aborted(abuse)
      const leftOut = lines.admit(abuse, performance.now())
      if (leftOut === undefined) return
      const what = `ended a connection of ${SpiffeId.display(caller)} (${remote}): ${abuse}`
      run(Effect.annotateLogs(Effect.logWarning(`${what}${LineLimit.suffix(leftOut)}`), {
        ...keys(connection),
        reason: abuse
      }))
    },
    started: (_, request) => {
      count++
      RequestChanges.removeHeaders(request, tokens.reserved())
    },
    closed: (exchange) => {
      count--
      exchange.over = true
      handling.delete(exchange)
      presented.delete(exchange)
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
    reauthorize: options.reauthorize,
    maxLifetime: options.maxLifetime,
    lifetimeJitter: options.lifetimeJitter,
    keep: (connection) => mayStay(authorizer(), connection),
    retire: (connection, why) => connections.retire(connection, why === "denied" ? deniedGraceMillis : drainMillis)
  }).pipe(Effect.provideService(Intentions.Intentions, byRequest(intentions)))

  /** By the intentions in force, with the tokens that the request carries, verified as far as the verdict depends on them. */
  const settle = (exchange: AdmittedExchange.Exchange, request: RequestAdmission.Request) => {
    const known: TokenAdmission.Presented = new Map(presented.get(exchange))
    return Effect.map(
      TokenAdmission.settle(
        (tokens) => RequestAdmission.decide(authorizer(), exchange.connection.caller, request, tokens),
        known,
        (provider) => tokens.verify(provider, request)
      ),
      (decision) => ({ decision, presented: known })
    )
  }

  const end = (exchanges: ReadonlyMap<AdmittedExchange.Exchange, Decision.Decision>) => {
    const ended = new Map<string, Connection.Connection>()
    for (const [exchange, decision] of exchanges) {
      metrics.aborted("denied")
      handling.delete(exchange) // once is enough
      ended.set(`${exchange.connection.caller.service} (${Decision.explain(decision)})`, exchange.connection)
      exchange.abort()
    }
    return Effect.forEach(
      ended,
      ([line, connection]) =>
        Effect.annotateLogs(Effect.logWarning(`ended requests of ${line}: the intentions changed`), {
          ...keys(connection),
          reason: "denied"
        }),
      { discard: true }
    )
  }
  const judgeLater = (exchange: AdmittedExchange.Exchange, request: RequestAdmission.Request) =>
    Effect.flatMap(settle(exchange, request), ({ decision, presented: known }) => {
      if (!handling.has(exchange)) return Effect.void
      if (!decision.allowed) return end(new Map([[exchange, decision]]))
      presented.set(exchange, known)
      return Effect.void
    })
  yield* Effect.forkScoped(Stream.runForEach(intentions.changes, (current) => {
    const denied = new Map<AdmittedExchange.Exchange, Decision.Decision>()
    for (const [exchange, request] of handling) {
      const { decision, open } = TokenAdmission.judge(
        (tokens) => RequestAdmission.decide(current, exchange.connection.caller, request, tokens),
        presented.get(exchange) ?? TokenAdmission.nobody
      )
      // Now it needs a token that nobody asked for when it came. It may carry it all the same.
      if (open.size > 0) run(judgeLater(exchange, request))
      else if (!decision.allowed) denied.set(exchange, decision)
    }
    return end(denied)
  }))

  /** It is recorded, and judged again until it is over. */
  const conclude = (exchange: AdmittedExchange.Exchange, concluded: RequestAdmission.Concluded): void => {
    exchange.concluded = concluded
    if (concluded._tag !== "Admitted") {
      countRefusal(exchange, concluded)
      if (concluded._tag === "Denied") {
        exchange.refusal = 403
        recordDenial(exchange, concluded.decision)
      } else if (concluded._tag === "Malformed") recordMalformed(exchange, concluded.why)
      return
    }
    if (concluded.decision.audited === true) recordDenial(exchange, concluded.decision)
    if (exchange.over) return
    handling.set(exchange, concluded.request)
    if (concluded.presented.size > 0) presented.set(exchange, concluded.presented)
  }

  /** What the application throws is for Node to report, not for a fiber: hence `queueMicrotask`. */
  const judge: HttpListener["judge"] = (exchange, raw, then) => {
    const judgement = RequestAdmission.judge(authorizer(), exchange.connection.caller, raw, options.normalization)
    if (judgement._tag !== "Open") {
      conclude(exchange, judgement)
      return then(judgement)
    }
    const { request } = judgement
    run(Effect.map(settle(exchange, request), ({ decision, presented: known }) => {
      const concluded = RequestAdmission.conclude(request, decision, known)
      conclude(exchange, concluded)
      queueMicrotask(() => exchange.over ? undefined : then(concluded))
    }))
  }

  return {
    host: listener.host,
    port: listener.port,
    service: () => authorizer().destination.service,
    refusal: (refused, contentType) => RequestAdmission.refusal(refused, contentType, tellsReasons),
    stats: () => ({ connections: listener.stats(), handling: count, ...metrics.totals() }),
    denials: denials.counts,
    attach: connections.attach,
    judge,
    drain: Effect.sync(connections.drain).pipe(
      Effect.andThen(listener.stop),
      Effect.andThen(Effect.timeoutOption(listener.idle, drainMillis)),
      Effect.asVoid
    )
  }
})

/** After the drain: for the last words of what was interrupted, such as the close of a WebSocket. */
const afterDrain = "500 millis"

/** For the last words to a caller that may do nothing any more: its requests at hand have been ended. */
const deniedGraceMillis = 1000

/** Where requests are judged, a connection may stay unless no request could be allowed. */
const mayStay = (authorizer: Authorizer.Authorizer, { caller }: Connection.Connection): Decision.Decision => {
  const decision = authorizer.connection(caller)
  return authorizer.http && decision.because === "needs-http" ? judgedByRequest : decision
}

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
