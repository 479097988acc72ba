/**
 * Effect's `HttpServer` in the mesh: HTTP/1.1 and HTTP/2 on one port, mutual TLS that follows rotation, and intentions.
 *
 * `HttpListener` judges each request; what it admits is handled, with `PeerIdentity`. A refusal is a 403 (for gRPC
 * status 7). What cannot be judged is refused.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as NodeWS from "@effect/platform-node/NodeWS"
import { Context, Effect, Layer, References, Scope } from "effect"
import { Headers, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import type * as Intentions from "../watch/Intentions.ts"
import type * as JwtProviders from "../watch/JwtProviders.ts"
import * as HttpExchange from "./HttpExchange.ts"
import * as HttpListener from "./HttpListener.ts"
import * as Listening from "./Listening.ts"
import * as LogKeys from "./LogKeys.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import * as RequestAdmission from "./RequestAdmission.ts"
import * as RequestChanges from "./RequestChanges.ts"
import * as TokenAdmission from "./TokenAdmission.ts"
import * as Tracing from "./Tracing.ts"

export type Options = Omit<HttpListener.Options, "protocols" | "streams" | "from">

export type Stats = HttpListener.Stats

/** What can be seen of the server, besides Effect's view of it. */
export class MeshHttpServer
  extends Context.Service<MeshHttpServer, Pick<HttpListener.HttpListener, "host" | "port" | "stats" | "denials">>()(
    "effect-mesh/native/MeshHttpServer"
  )
{}

/** Opens once intentions have arrived. */
export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<
  { readonly http: HttpServer.HttpServer["Service"]; readonly mesh: MeshHttpServer["Service"] },
  Listening.ListenError,
  SecureContexts.SecureContexts | Intentions.Intentions | JwtProviders.JwtProviders | Scope.Scope
> {
  const listener = yield* HttpListener.make({ ...options, protocols: ["h2", "http/1.1"] })

  const guarded = <E, R>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> => {
    const answer = (
      request: HttpServerRequest.HttpServerRequest,
      { connection: { caller, remote } }: HttpExchange.Exchange,
      admission: RequestAdmission.Concluded
    ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> => {
      const traced = Tracing.current("server")
      if (traced !== undefined) describe(traced, caller, listener.service(), admission)
      if (admission._tag !== "Admitted") {
        if (admission._tag === "Denied") withoutTokens(request, admission)
        return Effect.succeed(refusal(admission, request.headers["content-type"], options.reasonHeader ?? true))
      }
      const { decision, presented } = admission
      const handled = Effect.provideService(app, PeerIdentity.PeerIdentity, {
        caller,
        remote,
        decision,
        tokens: presented.size === 0 ? PeerIdentity.noTokens : TokenAdmission.claims(presented)
      })
      const inTrace = traced === undefined ? handled : withTraceState(handled, traced, request)
      const seen = seenBy(request, admission)
      return seen === request ? inTrace : Effect.provideService(inTrace, HttpServerRequest.HttpServerRequest, seen)
    }
    return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const incoming = NodeHttpServerRequest.toIncomingMessage(request)
      const exchange = HttpExchange.exchangeOf(incoming)
      if (exchange === undefined) return Effect.succeed(HttpServerResponse.empty({ status: 403 }))
      const absolute = !incoming.url!.startsWith("/") && incoming.url !== "*"
      const admission = listener.admit(exchange, {
        method: incoming.method!,
        target: request.url,
        authority: absolute ? request.headers["host"] : undefined,
        rawHeaders: incoming.rawHeaders
      })
      return admission._tag === "Pending"
        ? Effect.flatMap(admission.settled, (settled) => answer(request, exchange, settled))
        : answer(request, exchange, admission)
    })
  }

  const sockets = yield* Effect.cached(
    Effect.acquireRelease(
      Effect.sync(() => new NodeWS.WebSocketServer({ noServer: true })),
      (server) => Effect.callback<void>((resume) => server.close(() => resume(Effect.void)))
    ).pipe(Scope.provide(yield* Effect.scope))
  )

  const http = HttpServer.make({
    address: yield* Listening.inetAddress(listener),
    serve: Effect.fnUntraced(function*(app, middleware) {
      const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
      const handler = { scope, middleware }
      const annotated = Effect.updateService(References.CurrentLogAnnotations, LogKeys.ofRequests)
      const request = yield* annotated(NodeHttpServer.makeHandler(guarded(app), handler))
      const upgrade = yield* annotated(NodeHttpServer.makeUpgradeHandler(sockets, guarded(app), handler))
      listener.attach({ request, upgrade })
      // Runs before the scope of the handlers closes, which interrupts what is left.
      yield* Effect.addFinalizer(() => listener.drain)
    })
  })
  const { denials, host, port, stats } = listener
  return { http, mesh: { denials, host, port, stats } }
})

/** Needs no control plane: whoever provides secure contexts, intentions and token providers. */
export const layer = (options: Options): Layer.Layer<
  | HttpServer.HttpServer
  | MeshHttpServer
  | PeerIdentity.PeerIdentity
  | Layer.Success<typeof NodeHttpServer.layerHttpServices>,
  Listening.ListenError,
  SecureContexts.SecureContexts | Intentions.Intentions | JwtProviders.JwtProviders
> =>
  Layer.mergeAll(
    Layer.effectContext(Effect.map(make(options), ({ http, mesh }) =>
      Context.make(HttpServer.HttpServer, http).pipe(Context.add(MeshHttpServer, mesh)))),
    PeerIdentity.layerOfRequests,
    NodeHttpServer.layerHttpServices
  )

const describe = (
  { span }: Tracing.Traced,
  caller: SpiffeId.Service,
  destination: string,
  admission: RequestAdmission.Concluded
): void => {
  span.attribute(Tracing.attributes.source, caller.service)
  span.attribute(Tracing.attributes.peer, SpiffeId.format(caller))
  span.attribute(Tracing.attributes.destination, destination)
  if (admission._tag !== "Admitted") {
    span.attribute(Tracing.attributes.refused, RequestAdmission.reasonOf(admission))
  }
}

/** Of a request that continues a trace. */
const withTraceState = <A, E, R>(
  handled: Effect.Effect<A, E, R>,
  { span: { traceId } }: Tracing.Traced,
  { headers }: HttpServerRequest.HttpServerRequest
): Effect.Effect<A, E, R> => {
  const value = headers["tracestate"]
  return value === undefined || headers["traceparent"]?.includes(traceId) !== true
    ? handled
    : Effect.provideService(handled, Tracing.TraceState, { traceId, value })
}

/** For who looks at Node's object: the handler, and middleware and spans, which show the URL at the end. */
const withoutTokens = (
  request: HttpServerRequest.HttpServerRequest,
  { presented }: Pick<RequestAdmission.Admitted, "presented">
): RequestChanges.RequestChanges => {
  const changes = TokenAdmission.changes(presented)
  RequestChanges.apply(NodeHttpServerRequest.toIncomingMessage(request), changes)
  return changes
}

/** What the handler gets: the path that was judged, and no tokens. */
const seenBy = (
  request: HttpServerRequest.HttpServerRequest,
  { presented, request: { path } }: RequestAdmission.Admitted
): HttpServerRequest.HttpServerRequest => {
  if (presented.size === 0) return path === request.url ? request : request.modify({ url: path })
  // In Node's object and in Effect's, which may have been read already, by a middleware.
  const changes = withoutTokens(request, { presented })
  return request.modify({
    url: RequestChanges.withoutParameters(path, changes.parameters),
    headers: Headers.setAll(Headers.removeMany(request.headers, changes.remove), Object.fromEntries(changes.add))
  })
}

const refusal = (...refused: Parameters<typeof RequestAdmission.refusal>): HttpServerResponse.HttpServerResponse => {
  const { body, headers, status } = RequestAdmission.refusal(...refused)
  return body === ""
    ? HttpServerResponse.empty({ status, headers })
    : HttpServerResponse.text(body, { status, headers })
}
