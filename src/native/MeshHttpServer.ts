/**
 * Effect's `HttpServer` in the mesh: HTTP/1.1 and HTTP/2 on one port, mutual TLS that follows rotation, and intentions.
 *
 * `HttpListener` judges each request before anything of the application runs, middleware included; what it admits is handled,
 * with `PeerIdentity`. A refusal is a 403 (for gRPC status 7). What cannot be judged is refused.
 *
 *     request ─▶ judged ─┬─▶ span ─▶ middleware ─▶ routes
 *                        └─▶ span ─▶ refusal
 */
import * as Http from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as NodeWS from "@effect/platform-node/NodeWS"
import { Context, Effect, Layer, References, Scope } from "effect"
import { HttpMiddleware, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import type * as Intentions from "../watch/Intentions.ts"
import type * as JwtProviders from "../watch/JwtProviders.ts"
import * as AdmittedExchange from "../inbound/http/AdmittedExchange.ts"
import * as HttpExchange from "../http/HttpExchange.ts"
import * as HttpListener from "../inbound/http/HttpListener.ts"
import * as Listening from "../net/Listening.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import * as RequestAdmission from "../inbound/http/RequestAdmission.ts"
import * as RequestAnnotations from "./RequestAnnotations.ts"
import * as RequestChanges from "../http/RequestChanges.ts"
import * as RequestTarget from "../http/RequestTarget.ts"
import * as TokenAdmission from "../inbound/http/TokenAdmission.ts"
import * as Tracing from "../observe/Tracing.ts"

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

  /** What there is to know of an admitted request, for the application and its middleware. */
  const admitted = <E, R>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const exchange = AdmittedExchange.of(NodeHttpServerRequest.toIncomingMessage(request))
      if (exchange?.concluded?._tag !== "Admitted") return Effect.succeed(HttpServerResponse.empty({ status: 403 }))
      const { concluded: { decision, presented }, connection: { caller, remote } } = exchange
      const traced = Tracing.current("server")
      if (traced !== undefined) describe(traced, caller, listener.service(), exchange.concluded)
      const handled = Effect.provideService(app, PeerIdentity.PeerIdentity, {
        caller,
        remote,
        decision,
        tokens: presented.size === 0 ? PeerIdentity.noTokens : TokenAdmission.claims(presented)
      })
      return traced === undefined ? handled : withTraceState(handled, traced, request)
    })

  const refused = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
    const exchange = AdmittedExchange.of(NodeHttpServerRequest.toIncomingMessage(request))
    if (exchange?.concluded === undefined || exchange.concluded._tag === "Admitted") {
      return HttpServerResponse.empty({ status: 403 })
    }
    const traced = Tracing.current("server")
    if (traced !== undefined) describe(traced, exchange.connection.caller, listener.service(), exchange.concluded)
    return responseOf(listener.refusal(exchange.concluded, request.headers["content-type"]))
  })

  /** Then the request is what was judged, for whoever looks at it: the application, its middleware, spans. */
  const judged = (
    incoming: HttpExchange.Incoming,
    exchange: AdmittedExchange.Exchange,
    then: (admitted: boolean) => void
  ): void => {
    const { authority, target } = targetOf(incoming)
    const raw = { method: incoming.method ?? "", target, authority, rawHeaders: incoming.rawHeaders }
    listener.judge(exchange, raw, (concluded) => {
      if (concluded._tag === "Admitted") settle(incoming, concluded.request.path, authority)
      if ("presented" in concluded) RequestChanges.apply(incoming, TokenAdmission.changes(concluded.presented))
      then(concluded._tag === "Admitted")
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
      const [handled, handler] = middleware === undefined
        ? [admitted(app), { scope }]
        : [app, { scope, middleware: HttpMiddleware.make((responded) => admitted(middleware(responded))) }]
      const annotated = Effect.updateService(References.CurrentLogAnnotations, RequestAnnotations.of)
      const handle = yield* annotated(NodeHttpServer.makeHandler(handled, handler))
      const refuse = yield* annotated(NodeHttpServer.makeHandler(refused, { scope }))
      const handleUpgrade = yield* annotated(NodeHttpServer.makeUpgradeHandler(sockets, handled, handler))
      const refuseUpgrade = yield* annotated(NodeHttpServer.makeUpgradeHandler(sockets, refused, { scope }))
      listener.attach({
        request: (incoming, response) => {
          const exchange = AdmittedExchange.of(incoming)
          if (exchange === undefined) return refuse(incoming, response)
          judged(incoming, exchange, (admitted) => {
            if (!admitted) return refuse(incoming, response)
            exchange.proceed()
            handle(incoming, response)
          })
        },
        upgrade: (incoming, socket, head) => {
          const exchange = AdmittedExchange.of(incoming)
          if (exchange === undefined) return refuseUpgrade(incoming, socket, head)
          judged(
            incoming,
            exchange,
            (admitted) => admitted ? handleUpgrade(incoming, socket, head) : refuseUpgrade(incoming, socket, head)
          )
        }
      })
      // Runs before the scope of the handlers closes, which interrupts what is left.
      yield* Effect.addFinalizer(() => listener.drain)
    })
  })
  const { denials, host, port, stats } = listener
  // What Effect says of a server has `http://`, which nobody can open here.
  yield* Effect.logInfo(
    `serving ${listener.service()} on https://${
      Listening.format({ host, port })
    }, for callers with a certificate of the mesh`
  )
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

const targetOf = (incoming: HttpExchange.Incoming): RequestTarget.RequestTarget =>
  incoming instanceof Http.IncomingMessage
    ? RequestTarget.parse(incoming.url ?? "")
    : { target: incoming.url, authority: undefined }

const settle = (incoming: HttpExchange.Incoming, path: string, authority: string | undefined): void => {
  if (incoming instanceof Http.IncomingMessage) return RequestTarget.settle(incoming, path, authority)
  if (incoming.url === path) return
  incoming.url = path
  incoming.headers[":path"] = path
  RequestTarget.setRaw(incoming.rawHeaders, ":path", path)
}

const responseOf = ({ body, headers, status }: RequestAdmission.Answer): HttpServerResponse.HttpServerResponse =>
  body === "" ? HttpServerResponse.empty({ status, headers }) : HttpServerResponse.text(body, { status, headers })
