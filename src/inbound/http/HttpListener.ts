/**
 * Accepts HTTP from the mesh and judges each request before the application sees it: what `MeshHttpServer` and
 * `PlainMesh` have in common.
 *
 *     accepted ─▶ verified ─▶ HTTP/1.1 or HTTP/2 ─▶ judged ─▶ answered by the application, or refused
 *      (MeshListener)          (HttpConnections)        (RequestJudge)
 *
 * Where the service's protocol is http, http2 or grpc, every request is judged by itself, and a change of intentions also
 * ends requests at hand, upgraded ones included. Otherwise the connection is judged, as by `MeshListener`.
 */
import { Context, Duration, Effect, type Scope } from "effect"
import * as HttpConnections from "../../http/HttpConnections.ts"
import * as HttpLimits from "../../http/HttpLimits.ts"
import type * as PathNormalization from "../../intention/PathNormalization.ts"
import * as RequestChanges from "../../http/RequestChanges.ts"
import type * as Listening from "../../net/Listening.ts"
import type * as DenialLog from "../../observe/DenialLog.ts"
import type * as SecureContexts from "../../tls/SecureContexts.ts"
import * as Intentions from "../../watch/Intentions.ts"
import type * as JwtProviders from "../../watch/JwtProviders.ts"
import type * as MeshDefaults from "../../watch/MeshDefaults.ts"
import type * as Connection from "../Connection.ts"
import * as MeshListener from "../MeshListener.ts"
import type * as AdmittedExchange from "./AdmittedExchange.ts"
import * as ConnectionPolicy from "./ConnectionPolicy.ts"
import * as RefusalAnswer from "./RefusalAnswer.ts"
import * as RequestAdmission from "./RequestAdmission.ts"
import * as RequestGate from "./RequestGate.ts"
import type * as RequestJudge from "./RequestJudge.ts"

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
  /** How paths are made canonical before they are judged and handled. Default: as the mesh entry says. */
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
  readonly refusal: (refused: RequestAdmission.Refused, contentType: string | undefined) => RefusalAnswer.RefusalAnswer
  readonly stats: () => Stats
  /** Requests that were refused, by caller and rule, most frequent first; in audit mode, that would have been. */
  readonly denials: () => ReadonlyArray<DenialLog.Count>
  /** From now on requests go to `handlers`, which must have them judged before they do anything. */
  readonly attach: (handlers: AdmittedExchange.Handlers) => void
  /** See `RequestJudge`. */
  readonly judge: RequestJudge.RequestJudge["judge"]
  /** Sends clients elsewhere, and waits for the requests at hand, at most as long as `drain` says. */
  readonly drain: Effect.Effect<void>
}

/** Opens once intentions have arrived. */
export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<
  HttpListener,
  Listening.ListenError,
  | SecureContexts.SecureContexts
  | Intentions.Intentions
  | JwtProviders.JwtProviders
  | MeshDefaults.MeshDefaults
  | Scope.Scope
> {
  const gate = yield* RequestGate.make(options.normalization)
  const { authorizer, judge, log, service, traffic } = gate
  const tellsReasons = options.reasonHeader ?? (yield* TellsReasons)
  const drainMillis = Duration.toMillis(Duration.fromInputUnsafe(options.drain ?? "10 seconds"))
  const connections = yield* HttpConnections.make<Connection.Connection, RequestAdmission.Concluded>({
    limits: HttpLimits.complete(options.limits),
    protocols: options.protocols,
    streams: options.streams,
    ...observe(gate)
  })
  const listener = yield* listen(options, connections, {
    intentions: yield* Intentions.Intentions,
    keep: (connection) => ConnectionPolicy.mayStay(authorizer(), connection),
    drainMillis
  })
  return {
    host: listener.host,
    port: listener.port,
    service,
    refusal: (refused, contentType) => RefusalAnswer.of(refused, contentType, tellsReasons),
    stats: () => ({ connections: listener.stats(), ...traffic.totals() }),
    denials: log.denials,
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

/** Counts each request, strips the headers that callers may not set, and ends its judging with it. */
const observe = ({ leave, reserved, traffic }: RequestGate.RequestGate): Pick<
  HttpConnections.Options<Connection.Connection, RequestAdmission.Concluded>,
  "abused" | "started" | "closed"
> => ({
  abused: traffic.abused,
  started: (_, request) => {
    traffic.started()
    RequestChanges.removeHeaders(request, reserved())
  },
  closed: (exchange) => {
    exchange.over = true
    leave(exchange)
    traffic.closed(exchange)
  }
})

/** Accepts connections, and leaves almost all of their policy to the requests. */
const listen = (
  options: Options,
  { retire, serve }: HttpConnections.HttpConnections<Connection.Connection, RequestAdmission.Concluded>,
  { drainMillis, intentions, keep }: {
    readonly intentions: Intentions.Intentions["Service"]
    readonly keep: NonNullable<MeshListener.Options<never>["keep"]>
    readonly drainMillis: number
  }
) =>
  MeshListener.make({
    host: options.host ?? "0.0.0.0",
    port: options.port,
    from: options.from,
    alpn: options.protocols,
    handle: serve,
    drain: afterDrain,
    handshakeTimeout: options.handshakeTimeout,
    maxConnections: options.maxConnections,
    reauthorize: options.reauthorize,
    maxLifetime: options.maxLifetime,
    lifetimeJitter: options.lifetimeJitter,
    keep,
    retire: (connection, why) => retire(connection, why === "denied" ? deniedGraceMillis : drainMillis)
  }).pipe(Effect.provideService(Intentions.Intentions, ConnectionPolicy.intentions(intentions)))
