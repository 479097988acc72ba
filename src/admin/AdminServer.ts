/**
 * The admin interface of a sidecar process, over HTTP on this machine: what it is doing, and what it can be told to do.
 *
 *     request → Access (web pages, token) → AdminApi → handlers ─┬─▶ Views, of the sidecars of the Fleet
 *                                                                └─▶ workers, each of which has such an interface of its own
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Cause, Effect, Function, Layer, type Scope } from "effect"
import { HttpMiddleware, HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiError } from "effect/http-api"
import * as Http from "node:http"
import * as Listening from "../net/Listening.ts"
import * as LogThreshold from "../observe/LogThreshold.ts"
import * as OpenMetrics from "../observe/OpenMetrics.ts"
import * as Access from "./Access.ts"
import * as AdminApi from "./AdminApi.ts"
import type * as Documents from "./Documents.ts"
import type * as ControlHandlers from "./ControlHandlers.ts"
import * as MeshPage from "./dashboard/MeshPage.ts"
import * as Page from "./dashboard/Page.ts"
import type * as ReadHandlers from "./ReadHandlers.ts"
import * as TokenFile from "./TokenFile.ts"

/** Who answers: the sidecars of this process, or all workers together. */
export interface Source {
  readonly handlers: Layer.Layer<
    Layer.Success<ReturnType<typeof ReadHandlers.layer>> | Layer.Success<ReturnType<typeof ControlHandlers.layer>>,
    never,
    Layer.Services<ReturnType<typeof ReadHandlers.layer>> | Layer.Services<ReturnType<typeof ControlHandlers.layer>>
  >
  /** In the format of OpenMetrics, or the older one. */
  readonly metrics: (isOpen: boolean) => Effect.Effect<string>
  /** Whether the intentions of a development agent can be changed. */
  readonly changesIntentions: boolean
}

export interface Options {
  readonly bind: Listening.Bind
  readonly source: Source
  /**
   * Holds what changes need, unless they come over a Unix socket. Undefined: nobody may change anything, but for intentions of a
   * development agent: its own API takes them from everybody.
   */
  readonly tokenFile?: string | undefined
}

export interface AdminServer {
  /** With the port that was given. */
  readonly bound: Listening.Bind
}

/** Collectors, probes and pages are few: whoever opens more must not cost the sidecars theirs. */
const mostConnections = 200

/** Listens once it returns, until the scope closes. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<
  AdminServer,
  Listening.ListenError | TokenFile.UnusableTokenFile,
  LogThreshold.LogThreshold | Scope.Scope
> {
  if (options.tokenFile !== undefined) yield* TokenFile.read(options.tokenFile)
  const app = yield* HttpRouter.toHttpEffect(routes(options))
  const server = Http.createServer({ headersTimeout: 10_000 })
  server.maxConnections = mostConnections
  const scope = yield* Effect.scope
  // Scrapes would be most of the spans, and tokens could be in them.
  const handler = yield* Effect.provideService(
    NodeHttpServer.makeHandler(checked(app, options), { scope }),
    HttpMiddleware.TracerDisabledWhen,
    Function.constTrue
  )
  const answers = new Set<Http.ServerResponse>()
  server.on("request", (request, response) => {
    answers.add(response)
    response.once("close", () => answers.delete(response))
    handler(request, response)
  })
  const bound = yield* Effect.acquireRelease(Listening.listen(server, options.bind), () => close(server, answers))
  return { bound }
})

/** Streams end. Other answers have their time: the process may end because of the one that is being written. */
const close = (server: Http.Server, answers: ReadonlySet<Http.ServerResponse>): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
    server.closeIdleConnections()
    for (const answer of answers) if (!answer.writableEnded) answer.destroy()
  }).pipe(Effect.timeoutOption("1 second"), Effect.andThen(Effect.sync(() => server.closeAllConnections())))

const routes = (options: Options) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(AdminApi.AdminApi).pipe(
      Layer.provide(options.source.handlers)
    ),
    HttpRouter.add("GET", "/metrics", metrics(options.source)),
    page("/", Page),
    page("/mesh", MeshPage)
  ).pipe(Layer.provide(NodeHttpServer.layerHttpServices))

/** In the format that is asked for. */
const metrics = (source: Source) => (request: HttpServerRequest.HttpServerRequest) => {
  const isOpen = OpenMetrics.isWanted(request.headers["accept"])
  return Effect.map(source.metrics(isOpen), (text) =>
    HttpServerResponse.text(text, {
      contentType: isOpen ? OpenMetrics.contentType : "text/plain; version=0.0.4; charset=utf-8"
    }))
}

const page = (path: "/" | "/mesh", { headers, html }: Pick<typeof Page, "headers" | "html">) =>
  HttpRouter.add("GET", path, HttpServerResponse.html(html).pipe(HttpServerResponse.setHeaders(headers)))

/** What there is, as `METHOD /path`. */
const paths: ReadonlyArray<string> = (() => {
  const found = ["GET /", "GET /mesh", "GET /metrics"]
  HttpApi.reflect(AdminApi.AdminApi, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => {
      found.push(`${endpoint.method} ${endpoint.path}`)
    }
  })
  return found.sort()
})()

/** Around every request: what is refused, and what no handler foresaw. */
const checked = <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>, options: Options) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const refusal = Access.refusal(request, yield* changes(request, options))
    const response = refusal === undefined
      ? yield* Effect.catchCause(app, (cause) => unforeseen(cause, request))
      : refused(refusal.status, refusal.body)
    return HttpServerResponse.setHeaders(response, { "cache-control": "no-store", "x-content-type-options": "nosniff" })
  })

const changes = (
  { method, url }: HttpServerRequest.HttpServerRequest,
  { bind, source, tokenFile }: Options
): Effect.Effect<Access.Changes> =>
  "path" in bind
    ? Effect.succeed({ _tag: "Socket" })
    : source.changesIntentions && method === "PUT" && url.startsWith("/intentions?")
    ? Effect.succeed({ _tag: "Anybody" })
    : tokenFile === undefined || method === "GET" || method === "HEAD"
    ? Effect.succeed({ _tag: "Nobody", why: withoutToken })
    : Effect.match(TokenFile.read(tokenFile), {
      onSuccess: (token): Access.Changes => ({ _tag: "Token", token }),
      onFailure: ({ message }) => ({ _tag: "Nobody", why: `${message}: nobody may change anything meanwhile` })
    })

const withoutToken =
  "this changes something, and nobody may: start the sidecar with --admin-token-file, or with --admin-bind unix:/path/to/socket"

const unforeseen = (cause: Cause.Cause<unknown>, { method, url }: HttpServerRequest.HttpServerRequest) => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const error = Cause.squash(cause)
  if (HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound") {
    return Effect.succeed(unknown(method, url))
  }
  if (HttpApiError.HttpApiSchemaError.is(error)) return Effect.succeed(refused(400, error.cause.message))
  return Effect.as(
    Effect.logError("the admin interface failed to answer", cause),
    refused(500, "the admin interface failed to answer: the log says why")
  )
}

const unknown = (method: string, url: string): HttpServerResponse.HttpServerResponse => {
  const [path] = url.split("?", 1)
  const allowed = paths.flatMap((each) => each.endsWith(` ${path}`) ? [each.split(" ", 1)[0]!] : [])
  return allowed.length === 0
    ? refused(404, `there is no ${path} here`, paths)
    : HttpServerResponse.setHeader(
      refused(405, `${path} takes ${allowed.join(" and ")}, not ${method}`),
      "allow",
      allowed.join(", ")
    )
}

const refused = (status: number, error: string, paths?: ReadonlyArray<string>): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(
    { error, ...(paths === undefined ? {} : { paths }) } satisfies typeof Documents.Refused.Type,
    { status }
  )
