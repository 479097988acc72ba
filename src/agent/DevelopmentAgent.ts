/**
 * The development agent: Consul's HTTP API over a mesh that lives in memory, in this process. It has what a data plane
 * needs (services, health, certificates, intentions, config entries, discovery chains, blocking queries) and forgets
 * everything when its scope closes. For development and tests: production is a real Consul.
 *
 *   request → Gate (path, method, token, parameters) → handlers → AgentState → Store.commit → waiting readers
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ByteSize, Cause, Context, Duration, Effect, Function, Layer, Schema, type Scope } from "effect"
import { HttpMiddleware, HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiError } from "effect/http-api"
import * as Http from "node:http"
import * as Os from "node:os"
import { randomUUID } from "node:crypto"
import { ConsulApi } from "../consul/ConsulApi.ts"
import * as AgentState from "./AgentState.ts"
import * as Federation from "./federation/Federation.ts"
import * as Forwarding from "./federation/Forwarding.ts"
import * as LocalServices from "./LocalServices.ts"
import * as AclHandlers from "./http/AclHandlers.ts"
import * as AgentHandlers from "./http/AgentHandlers.ts"
import * as CatalogHandlers from "./http/CatalogHandlers.ts"
import * as ConfigHandlers from "./http/ConfigHandlers.ts"
import * as ConnectHandlers from "./http/ConnectHandlers.ts"
import { DevelopmentApi } from "./http/DevelopmentApi.ts"
import * as DevelopmentHandlers from "./http/DevelopmentHandlers.ts"
import * as HealthHandlers from "./http/HealthHandlers.ts"
import * as InternalHandlers from "./http/InternalHandlers.ts"
import * as PeeringHandlers from "./http/PeeringHandlers.ts"
import * as Peerings from "./peering/Peerings.ts"
import * as RequestChecks from "./http/RequestChecks.ts"
import * as QueryHandlers from "./http/QueryHandlers.ts"

export interface Options {
  /** Default: `127.0.0.1`. */
  readonly host?: string | undefined
  /** Default: 8500. 0 takes any free port. */
  readonly port?: number | undefined
  /** Of the interface for Envoys, delta ADS over gRPC; 0 takes any free one. Default: there is none. */
  readonly grpcPort?: number | undefined
  /** Default: `dc1`. */
  readonly datacenter?: string | undefined
  /** Default: the name of the host. */
  readonly nodeName?: string | undefined
  /** What holds where no intention matches. Default: allow, as in Consul. */
  readonly defaultIntentionPolicy?: "allow" | "deny" | undefined
  /** The trust domain is this, and `.consul`. Default: a UUID, new with every agent. */
  readonly clusterId?: string | undefined
  /** How long leaf certificates live; some seconds are enough. Default: 72 hours. */
  readonly leafTtl?: Duration.Input | undefined
  /** Requests without this token are denied. Default: none is needed. */
  readonly requireToken?: string | undefined
  /**
   * Names under which it may be asked. Default: none, so that only requests to an IP address or localhost are answered, and
   * no web page can ask under a name of its own.
   */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
  /** Checks may run programs, which every client of the API may choose. Default: false. */
  readonly enableScriptChecks?: boolean | undefined
  /** Where sidecars without a port of their own get one. Default: 21000 to 21255. */
  readonly sidecarPorts?: LocalServices.Ports | undefined
}

export interface DevelopmentAgent {
  /** Such as `http://127.0.0.1:8500`. */
  readonly address: string
  readonly port: number
  /** Where Envoys ask. Undefined: nowhere. */
  readonly grpcPort: number | undefined
  /** How many Envoys are told what to do, and how many of them have answered all that holds now. */
  readonly envoys: Effect.Effect<{ readonly told: number; readonly settled: number }>
  readonly datacenter: string
  readonly nodeName: string
  /** Of the mesh, without `spiffe://`. */
  readonly trustDomain: string
  /** A new root signs from now on, vouched for by the former one. Every leaf is issued again. */
  readonly rotateRoots: Effect.Effect<void, AgentError>
  /** How many requests are being held for a change. */
  readonly blocked: Effect.Effect<number>
}

export class Agent extends Context.Service<Agent, DevelopmentAgent>()("effect-mesh/agent/DevelopmentAgent") {}

/** The agent could not start, or not do what it was told. */
export class AgentError extends Schema.TaggedError<AgentError>()("AgentError", {
  attempted: Schema.String,
  reason: Schema.String,
  remedy: Schema.String,
  cause: Schema.Defect()
}) {
  override readonly message = `${this.attempted}: ${this.reason}${this.remedy === "" ? "" : `: ${this.remedy}`}`
}

/** Listens once it returns. Closing the scope closes the listener and every connection, also those that wait. */
export const make = (options: Options = {}): Effect.Effect<DevelopmentAgent, AgentError, Scope.Scope> =>
  Effect.suspend(() => {
    const federation = Federation.make<AgentState.Member>(options.datacenter ?? "dc1")
    return join(options, federation, Peerings.network(federation.wan))
  })

/** As a datacenter of a federation, whose primary is made first. */
export const join = Effect.fnUntraced(function*(
  options: Options,
  federation: Federation.Federation<AgentState.Member>,
  network: Peerings.Network
): Effect.fn.Return<DevelopmentAgent, AgentError, Scope.Scope> {
  const host = options.host ?? "127.0.0.1"
  const port = options.port ?? 8500
  const settings = {
    datacenter: options.datacenter ?? federation.primary,
    nodeName: options.nodeName ?? Os.hostname(),
    nodeId: randomUUID(),
    defaultIntentionPolicy: options.defaultIntentionPolicy,
    clusterId: options.clusterId ?? randomUUID(),
    leafTtl: Duration.fromInputUnsafe(options.leafTtl ?? "72 hours"),
    enableScriptChecks: options.enableScriptChecks ?? false,
    sidecarPorts: options.sidecarPorts ?? LocalServices.sidecarPorts
  }
  const state = yield* Effect.mapError(
    AgentState.make(settings, federation, network),
    (cause) => new AgentError({ attempted: "start the development agent", reason: cause.message, remedy: "", cause })
  )
  const api = yield* HttpRouter.toHttpEffect(handlers(state)).pipe(
    // Names may be as long as the line of the request, which Node limits.
    Effect.provideService(HttpRouter.RouterConfig, { maxParamLength: Number.MAX_SAFE_INTEGER })
  )
  federation.join(settings.datacenter, { state, api })
  const nodeServer = Http.createServer({ keepAliveTimeout: 0 })
  const server = yield* Effect.mapError(
    NodeHttpServer.make(() => nodeServer, { host, port }),
    (error) => cannotListen(host, port, error.cause)
  )
  const checks: RequestChecks.Settings = {
    datacenter: settings.datacenter,
    others: () => federation.datacenters(settings.datacenter),
    requireToken: options.requireToken,
    allowedHosts: [host, ...options.allowedHosts ?? []]
  }
  yield* server.serve(checked((request) => Forwarding.answer(state, api, request), checks)).pipe(
    // Spans would last as long as requests wait, and could carry tokens.
    Effect.provideService(HttpMiddleware.TracerDisabledWhen, Function.constTrue)
  )
  // Runs before the finalizers above: without it they would wait for readers that wait for a change.
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      nodeServer.close()
      nodeServer.closeAllConnections()
    })
  )
  const xds = options.grpcPort === undefined ? undefined : yield* serveEnvoys(state, host, options.grpcPort, options)
  const bound = nodeServer.address()
  const actual = typeof bound === "object" && bound !== null ? bound.port : port
  return {
    address: `http://${host.includes(":") ? `[${host}]` : host}:${actual}`,
    port: actual,
    grpcPort: xds?.port,
    envoys: Effect.sync(() => xds?.envoys() ?? { told: 0, settled: 0 }),
    datacenter: settings.datacenter,
    nodeName: settings.nodeName,
    trustDomain: state.roots.trustDomain,
    rotateRoots: Effect.mapError(
      state.roots.rotate({ crossSign: true }),
      (cause) => new AgentError({ attempted: "rotate the root certificate", reason: cause.message, remedy: "", cause })
    ),
    blocked: Effect.sync(() => state.store.waiting())
  }
})

/** Loaded here: most agents serve no Envoys. */
const serveEnvoys = Effect.fnUntraced(function*(
  state: AgentState.AgentState,
  host: string,
  port: number,
  { requireToken }: Options
) {
  const XdsServer = yield* Effect.promise(() => import("./xds/XdsServer.ts"))
  const server = yield* Effect.mapError(
    XdsServer.make(state, { host, port, requireToken }),
    ({ cause }) => cannotListen(host, port, cause)
  )
  state.envoys.port = server.port
  return server
})

export const layer = (options: Options = {}): Layer.Layer<Agent, AgentError> => Layer.effect(Agent, make(options))

const handlers = (state: AgentState.AgentState) =>
  Layer.mergeAll(HttpApiBuilder.layer(ConsulApi), HttpApiBuilder.layer(DevelopmentApi)).pipe(
    Layer.provide([
      AclHandlers.layer,
      AgentHandlers.layer(state),
      CatalogHandlers.layer(state),
      ConnectHandlers.layer(state),
      HealthHandlers.layer(state),
      ConfigHandlers.layer(state),
      InternalHandlers.layer(state),
      PeeringHandlers.layer(state),
      DevelopmentHandlers.layer(state),
      QueryHandlers.layer(state)
    ]),
    Layer.provide(NodeHttpServer.layerHttpServices)
  )

/** Around every request: what is refused, the header that every answer has, and what no handler foresaw. */
const checked = <E, R>(
  api: (
    request: HttpServerRequest.HttpServerRequest
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  settings: RequestChecks.Settings
) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const refusal = RequestChecks.check(request, settings)
    const response = refusal === undefined
      ? yield* answered(api, request.modify({ url: RequestChecks.normalizeUrl(request) }))
      : refused(refusal)
    // A real agent refuses an unknown path before this.
    if (refusal?.status === 404) return response
    return HttpServerResponse.setHeaders(response, {
      "x-consul-default-acl-policy": "allow",
      // An index on a refusal is that of a config entry which does not exist: it can be waited on like any other.
      ...(response.status === 404 && response.headers["x-consul-index"] !== undefined && readHeaders),
      ...(response.status === 200 && response.headers["content-type"] === undefined &&
        { "content-type": "application/json" })
    })
  })

const readHeaders = {
  "x-consul-knownleader": "true",
  "x-consul-lastcontact": "0",
  "x-consul-query-backend": "blocking-query"
}

/** Reads the body first, which the handlers then have at hand: none of them is to forget its limit. */
const answered = <E, R>(
  api: (
    request: HttpServerRequest.HttpServerRequest
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  request: HttpServerRequest.HttpServerRequest
) =>
  Effect.gen(function*() {
    if (request.method !== "GET") {
      const tooLarge = yield* request.text.pipe(
        Effect.provideService(HttpServerRequest.MaxBodySize, maximumBody),
        Effect.match({ onFailure: ({ reason }) => isTooLarge(reason), onSuccess: () => false })
      )
      if (tooLarge) {
        return text(413, `Request body too large: this agent takes up to ${ByteSize.format(maximumBody)}`)
      }
    }
    return yield* api(request).pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, request),
      Effect.catchCause(unforeseen)
    )
  })

/** Far more than any registration or config entry. */
const maximumBody = ByteSize.mebibytes(8)

const isTooLarge = (reason: HttpServerError.HttpServerError["reason"]): boolean =>
  reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"

const unforeseen = (cause: Cause.Cause<unknown>) => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const error = Cause.squash(cause)
  if (HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound") {
    return Effect.succeed(refused(RequestChecks.notAnEndpoint))
  }
  if (HttpApiError.HttpApiSchemaError.is(error) && (error.kind === "Query" || error.kind === "Params")) {
    return Effect.succeed(text(400, error.cause.message))
  }
  return Effect.as(
    Effect.logError("the development agent failed to answer", cause),
    text(500, "the development agent failed to answer: its log says why")
  )
}

const refused = ({ body, headers, status }: RequestChecks.Refusal) => text(status, body, headers)

const text = (status: number, body: string, headers: { readonly [name: string]: string } = {}) =>
  HttpServerResponse.text(body, { status, headers, contentType: "text/plain; charset=utf-8" })

const cannotListen = (host: string, port: number, cause: unknown): AgentError => {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
  const taken = code === "EADDRINUSE"
  return new AgentError({
    attempted: `start the development agent on ${host}:${port}`,
    reason: taken ? `port ${port} is taken` : cause instanceof Error ? cause.message : String(cause),
    remedy: taken ? "stop what listens there, or choose another port (0 takes any free one)" : "",
    cause
  })
}
