/**
 * Effect's `HttpServer` in the mesh: HTTP/1.1 and HTTP/2 on one port, mutual TLS that follows rotation, and intentions.
 *
 *     accepted ─▶ verified ─▶ HTTP/1.1 or HTTP/2 ─▶ each request judged ─▶ handler, with `PeerIdentity`
 *      (MeshListener)          (HttpConnections)      (RequestAdmission)
 *
 * Where the service's protocol is http, http2 or grpc, every request is judged by itself: permissions count, a refusal is
 * a 403 (for gRPC status 7), and a change of intentions also ends requests at hand, upgraded ones included. Otherwise the
 * connection is judged, as by `MeshListener`. Either way what cannot be judged is refused.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as NodeWS from "@effect/platform-node/NodeWS"
import { Context, type Duration, Effect, FiberSet, Layer, type Schedule, Scope, Stream } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Authorizer from "../intention/Authorizer.ts"
import * as Decision from "../intention/Decision.ts"
import * as DenialLog from "../intention/DenialLog.ts"
import type * as HttpRequest from "../intention/HttpRequest.ts"
import type * as PathNormalization from "../intention/PathNormalization.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import * as Intentions from "../watch/Intentions.ts"
import * as Watched from "../watch/Watched.ts"
import * as HttpConnections from "./HttpConnections.ts"
import * as HttpLimits from "./HttpLimits.ts"
import * as HttpMetrics from "./HttpMetrics.ts"
import * as Listening from "./Listening.ts"
import * as MeshListener from "./MeshListener.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import * as RequestAdmission from "./RequestAdmission.ts"

export interface Options {
  /** Where to listen: an IP address. Default: `0.0.0.0`. */
  readonly host?: string | undefined
  /** 0: any free one. */
  readonly port: number
  /** Tells refused callers why, in `x-mesh-denied`. Default: true. */
  readonly reasonHeader?: boolean | undefined
  /** How paths are made canonical before they are judged and handled. Default: as Consul's. */
  readonly normalization?: PathNormalization.RequestNormalization | undefined
  readonly limits?: HttpLimits.HttpLimits | undefined
  /** How long requests at hand may go on once the scope closes. Default: 10 seconds. */
  readonly drain?: Duration.Input | undefined
  readonly handshakeTimeout?: Duration.Input | undefined
  readonly maxConnections?: number | undefined
  readonly reauthorize?: Schedule.Schedule<unknown> | undefined
}

/** Since the server opened. */
export interface Stats {
  readonly connections: MeshListener.Stats
  /** Requests that are being handled. */
  readonly handling: number
  /** Answered, by `source destination code`. */
  readonly requests: Readonly<Record<string, number>>
  /** Ended before their time, by reason: see `HttpConnections.Abuse`, or `denied`. */
  readonly aborted: Readonly<Record<string, number>>
}

/** What can be seen of the server, besides Effect's view of it. */
export class MeshHttpServer extends Context.Service<MeshHttpServer, {
  readonly host: string
  readonly port: number
  readonly stats: () => Stats
  /** Requests that were refused, by caller and rule, most frequent first; in audit mode, that would have been. */
  readonly denials: () => ReadonlyArray<DenialLog.Count>
}>()("effect-mesh/native/MeshHttpServer") {}

/** Opens once intentions have arrived. */
export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<
  { readonly http: HttpServer.HttpServer["Service"]; readonly mesh: MeshHttpServer["Service"] },
  Listening.ListenError,
  SecureContexts.SecureContexts | Intentions.Intentions | Scope.Scope
> {
  const intentions = yield* Intentions.Intentions
  const authorizer = yield* Watched.ready(intentions)
  const metrics = yield* HttpMetrics.make("inbound")
  const run = yield* FiberSet.makeRuntime()
  const drain = options.drain ?? "10 seconds"
  const handling = new Map<HttpConnections.Exchange, HttpRequest.HttpRequest>()
  const denials = DenialLog.make()
  let count = 0

  /** A flood of refusals is counted, and makes a line a minute for each kind. */
  const recordDenial = ({ connection }: HttpConnections.Exchange, decision: Decision.Decision) => {
    const caller = SpiffeId.display(connection.caller)
    const line = denials.record(caller, authorizer().destination.service, decision, performance.now())
    if (line === undefined) return
    const verdict = decision.allowed ? "let through, in audit mode," : "refused"
    run(Effect.annotateLogs(
      Effect.logWarning(`${verdict} a request of ${connection.remote}: ${DenialLog.format(line)}`),
      { reason: "denied", direction: "inbound" }
    ))
  }

  const connections = yield* HttpConnections.make({
    limits: HttpLimits.complete(options.limits),
    abused: ({ caller, remote }, abuse) => {
      metrics.aborted(abuse)
      run(
        Effect.annotateLogs(
          Effect.logWarning(`ended a connection of ${SpiffeId.display(caller)} (${remote}): ${abuse}`),
          {
            reason: abuse
          }
        )
      )
    },
    started: () => {
      count++
    },
    closed: (exchange) => {
      count--
      handling.delete(exchange)
      const code = exchange.response?.statusCode ?? (exchange.denied ? 403 : 101)
      metrics.answered(exchange.connection.caller.service, authorizer().destination.service, code)
    }
  })
  const listener = yield* MeshListener.make({
    host: options.host ?? "0.0.0.0",
    port: options.port,
    alpn: ["h2", "http/1.1"],
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

  const guarded = <E, R>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const incoming = NodeHttpServerRequest.toIncomingMessage(request)
      const exchange = HttpConnections.exchangeOf(incoming)
      if (exchange === undefined) return Effect.succeed(HttpServerResponse.empty({ status: 403 }))
      const absolute = !incoming.url!.startsWith("/") && incoming.url !== "*"
      const admission = RequestAdmission.judge(authorizer(), exchange.connection.caller, {
        method: incoming.method!,
        target: request.url,
        authority: absolute ? request.headers["host"] : undefined,
        rawHeaders: incoming.rawHeaders
      }, options.normalization)
      if (admission._tag !== "Admitted") {
        if (admission._tag === "Denied") {
          exchange.denied = true
          recordDenial(exchange, admission.decision)
        }
        return Effect.succeed(refusal(admission, request, options.reasonHeader ?? true))
      }
      if (admission.decision.audited === true) recordDenial(exchange, admission.decision)
      handling.set(exchange, admission.request)
      const { caller, remote } = exchange.connection
      const handled = Effect.provideService(app, PeerIdentity.PeerIdentity, {
        caller,
        remote,
        decision: admission.decision
      })
      return admission.request.path === request.url
        ? handled
        : Effect.provideService(
          handled,
          HttpServerRequest.HttpServerRequest,
          request.modify({ url: admission.request.path })
        )
    })

  const sockets = yield* Effect.cached(
    Effect.acquireRelease(
      Effect.sync(() => new NodeWS.WebSocketServer({ noServer: true })),
      (server) => Effect.callback<void>((resume) => server.close(() => resume(Effect.void)))
    ).pipe(Scope.provide(yield* Effect.scope))
  )

  const http = HttpServer.make({
    address: yield* addressOf(listener),
    serve: Effect.fnUntraced(function*(app, middleware) {
      const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
      const handler = { scope, middleware }
      const request = yield* NodeHttpServer.makeHandler(guarded(app), handler)
      const upgrade = yield* NodeHttpServer.makeUpgradeHandler(sockets, guarded(app), handler)
      connections.attach({ request, upgrade })
      // Runs before the scope of the handlers closes, which interrupts what is left.
      yield* Effect.addFinalizer(() =>
        Effect.andThen(
          Effect.sync(connections.drain),
          Effect.andThen(listener.stop, Effect.timeoutOption(listener.idle, drain))
        )
      )
    })
  })
  return {
    http,
    mesh: {
      host: listener.host,
      port: listener.port,
      stats: () => ({ connections: listener.stats(), handling: count, ...metrics.totals() }),
      denials: denials.counts
    }
  }
})

/** Needs no control plane: whoever provides secure contexts and intentions. */
export const layer = (options: Options): Layer.Layer<
  | HttpServer.HttpServer
  | MeshHttpServer
  | PeerIdentity.PeerIdentity
  | Layer.Success<typeof NodeHttpServer.layerHttpServices>,
  Listening.ListenError,
  SecureContexts.SecureContexts | Intentions.Intentions
> =>
  Layer.mergeAll(
    Layer.effectContext(Effect.map(make(options), ({ http, mesh }) =>
      Context.make(HttpServer.HttpServer, http).pipe(Context.add(MeshHttpServer, mesh)))),
    PeerIdentity.layerOfRequests,
    NodeHttpServer.layerHttpServices
  )

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

const refusal = (
  admission: Exclude<RequestAdmission.Admission, { readonly _tag: "Admitted" }>,
  request: HttpServerRequest.HttpServerRequest,
  withReason: boolean
): HttpServerResponse.HttpServerResponse => {
  switch (admission._tag) {
    case "Malformed":
      return HttpServerResponse.text(admission.why, { status: 400 })
    case "Redirected":
      return HttpServerResponse.empty({ status: 307, headers: { location: admission.path } })
    case "Denied": {
      const reason = withReason ? { "x-mesh-denied": RequestAdmission.reasonHeader(admission.decision) } : {}
      return request.headers["content-type"]?.startsWith("application/grpc") === true
        ? HttpServerResponse.empty({
          status: 200,
          headers: { ...reason, "content-type": "application/grpc", "grpc-status": "7", "grpc-message": accessDenied }
        })
        : HttpServerResponse.text(accessDenied, { status: 403, headers: reason })
    }
  }
}

/** What sidecars answer. */
const accessDenied = "RBAC: access denied"

const addressOf = ({ host, port }: MeshListener.MeshListener) =>
  Effect.fromResult(NetAddress.inetAddressFromIpString(host, port)).pipe(
    Effect.mapError(() => new Listening.ListenError({ address: `${host}:${port}`, code: "EADDRNOTAVAIL" }))
  )
