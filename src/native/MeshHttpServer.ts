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
import * as NodeWS from "@effect/platform-node/NodeWS"
import { Context, Effect, Layer, References, Scope } from "effect"
import { HttpMiddleware, HttpServer, type HttpServerRequest, type HttpServerResponse } from "effect/http"
import type * as HttpExchange from "../http/HttpExchange.ts"
import * as RequestChanges from "../http/RequestChanges.ts"
import * as RequestTarget from "../http/RequestTarget.ts"
import * as AdmittedExchange from "../inbound/http/AdmittedExchange.ts"
import * as HttpListener from "../inbound/http/HttpListener.ts"
import * as TokenAdmission from "../inbound/http/TokenAdmission.ts"
import * as Listening from "../net/Listening.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import type * as Intentions from "../watch/Intentions.ts"
import type * as JwtProviders from "../watch/JwtProviders.ts"
import type * as MeshDefaults from "../watch/MeshDefaults.ts"
import * as JudgedRequest from "./JudgedRequest.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import * as RequestAnnotations from "./RequestAnnotations.ts"
import * as ServerSpans from "./ServerSpans.ts"

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
  | SecureContexts.SecureContexts
  | Intentions.Intentions
  | JwtProviders.JwtProviders
  | MeshDefaults.MeshDefaults
  | Scope.Scope
> {
  const listener = yield* HttpListener.make({ ...options, protocols: ["h2", "http/1.1"] })

  const sockets = yield* Effect.cached(
    Effect.acquireRelease(
      Effect.sync(() => new NodeWS.WebSocketServer({ noServer: true })),
      (server) => Effect.callback<void>((resume) => server.close(() => resume(Effect.void)))
    ).pipe(Scope.provide(yield* Effect.scope))
  )

  const http = HttpServer.make({
    address: yield* Listening.inetAddress(listener),
    serve: (app, middleware) => serve(listener, sockets, app, middleware)
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
  SecureContexts.SecureContexts | Intentions.Intentions | JwtProviders.JwtProviders | MeshDefaults.MeshDefaults
> =>
  Layer.mergeAll(
    Layer.effectContext(Effect.map(make(options), ({ http, mesh }) =>
      Context.make(HttpServer.HttpServer, http).pipe(Context.add(MeshHttpServer, mesh)))),
    PeerIdentity.layerOfRequests,
    NodeHttpServer.layerHttpServices
  )

/** Sends requests to the application until the scope closes. */
const serve = Effect.fnUntraced(function*(
  listener: HttpListener.HttpListener,
  sockets: Effect.Effect<NodeWS.WebSocketServer>,
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest | Scope.Scope>,
  middleware: HttpMiddleware.HttpMiddleware | undefined
) {
  const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
  const spans = yield* ServerSpans.make
  const judged = <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
    spans.within(JudgedRequest.handle(app, listener))
  const [handled, handler] = middleware === undefined
    ? [judged(app), { scope }]
    : [app, { scope, middleware: HttpMiddleware.make((responded) => judged(middleware(responded))) }]
  const refused = JudgedRequest.refuse(listener)
  const prepared = <A, E, R>(handler: Effect.Effect<A, E, R>) =>
    spans.decided(Effect.updateService(handler, References.CurrentLogAnnotations, RequestAnnotations.of))
  const handle = yield* prepared(NodeHttpServer.makeHandler(handled, handler))
  const refuse = yield* prepared(NodeHttpServer.makeHandler(refused, { scope }))
  const handleUpgrade = yield* prepared(NodeHttpServer.makeUpgradeHandler(sockets, handled, handler))
  const refuseUpgrade = yield* prepared(NodeHttpServer.makeUpgradeHandler(sockets, refused, { scope }))
  listener.attach({
    request: (incoming, response) =>
      judge(listener, incoming, (exchange) => {
        if (exchange === undefined) return refuse(incoming, response)
        exchange.proceed()
        handle(incoming, response)
      }),
    upgrade: (incoming, socket, head) =>
      judge(
        listener,
        incoming,
        (exchange) =>
          exchange === undefined ? refuseUpgrade(incoming, socket, head) : handleUpgrade(incoming, socket, head)
      )
  })
  // Runs before the scope of the handlers closes, which interrupts what is left.
  yield* Effect.addFinalizer(() => listener.drain)
})

/**
 * Passes on the exchange of an admitted request, and nothing for any other. From then on the request is what was judged, for
 * everything that looks at it: the application, its middleware, spans.
 */
const judge = (
  listener: HttpListener.HttpListener,
  incoming: HttpExchange.Incoming,
  then: (admitted: AdmittedExchange.Exchange | undefined) => void
): void => {
  const exchange = AdmittedExchange.of(incoming)
  if (exchange === undefined) return then(undefined)
  const { authority, target } = targetOf(incoming)
  const raw = { method: incoming.method ?? "", target, authority, rawHeaders: incoming.rawHeaders }
  listener.judge(exchange, raw, (concluded) => {
    if (concluded._tag === "Admitted") settle(incoming, concluded.request.path, authority)
    if ("presented" in concluded) RequestChanges.apply(incoming, TokenAdmission.changes(concluded.presented))
    then(concluded._tag === "Admitted" ? exchange : undefined)
  })
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
