/**
 * The HTTP API of a Consul agent, as a client. It is derived from `ConsulApi`; this file adds how the agent is reached
 * (address, TLS, token) and what its failures mean.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { type Config, Context, Duration, Effect, Equal, Function, Hash, Layer, RcMap, Schema, type Scope } from "effect"
import { Headers, HttpClient, HttpClientError, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import type * as ApiError from "./ApiError.ts"
import * as ConsulApi from "./ConsulApi.ts"
import * as ConsulError from "./ConsulError.ts"
import * as Credentials from "./Credentials.ts"
import * as Settings from "./Settings.ts"

export type Api = HttpApiClient.ForApi<typeof ConsulApi.ConsulApi>

/** What a call of a derived method may fail with. */
type CallError = ApiError.ApiError | HttpClientError.HttpClientError | Schema.SchemaError

export class ConsulClient extends Context.Service<ConsulClient, {
  /** Where requests go, for logs: never with credentials. */
  readonly address: string
  /** Sent with every request; absent: the agent's own. */
  readonly datacenter: string | undefined
  /**
   * One request that is answered at once. `name` is for errors: `GET /v1/agent/self`. Fails when there is no answer within
   * `timeout` (10 seconds).
   */
  readonly call: <A, E extends CallError>(
    name: string,
    request: (api: Api) => Effect.Effect<A, E>,
    timeout?: Duration.Input
  ) => Effect.Effect<A, ConsulError.ConsulError>
  /**
   * One request that the agent may hold for `wait`; the blocking query watches the time. The few things that everything
   * rests on (`vital`: roots, leaf, intentions, registration) never stand in line behind the many (chains and instances
   * of upstreams). Where there are more of these than connections, most are asked for in turns: `request` is then given a
   * shorter wait.
   */
  readonly hold: <A, E extends CallError>(
    name: string,
    kind: "vital" | "many",
    wait: string,
    request: (api: Api, wait: string) => Effect.Effect<A, E>
  ) => Effect.Effect<A, ConsulError.ConsulError>
  /**
   * One of each key for this client: made by whoever asks first, shared with everybody who asks while it is there, and
   * closed with the last of their scopes. So that two services in one process do not watch the same thing twice.
   */
  readonly share: <A>(key: string, make: Effect.Effect<A, never, Scope.Scope>) => Effect.Effect<A, never, Scope.Scope>
}>()("effect-mesh/consul/ConsulClient") {}

/** Answers larger than this are refused: 64 MiB, some hundred thousand instances. */
const maxAnswerBytes = 64 * 1024 * 1024

/** How long a request that does not block may take. */
const defaultTimeout = Duration.seconds(10)

/**
 * Connections by what they are for. An agent allows 200 from one address, and a blocking query occupies one all the time;
 * undici lets what is beyond wait in line.
 */
const connections = { brief: 16, vital: 80, many: 80 }

/** So many of the many are held for as long as they like. The other connections go round among the rest. */
const manyAtLeisure = 40

/** How long each of the rest is held. */
const turn = "2000ms"

export const make = (
  settings: Settings.Settings
): Effect.Effect<ConsulClient["Service"], Settings.InvalidSettings, Scope.Scope> =>
  Effect.gen(function*() {
    const { baseUrl, socketPath } = yield* Effect.fromResult(Settings.endpoint(settings))
    const connect = {
      ...(yield* tls(settings)),
      ...(socketPath === undefined ? {} : { socketPath }),
      timeout: 5000
    }
    const { headers } = yield* Credentials.make(settings)
    const scope = scopeParams(settings)
    const apiOver = (connections: number) =>
      Effect.gen(function*() {
        const options = { connections, maxResponseSize: maxAnswerBytes, connect }
        const dispatcher = yield* NodeHttpClient.makeDispatcherOptions(options)
        const http = yield* Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, dispatcher)
        return yield* HttpApiClient.makeWith(ConsulApi.ConsulApi, {
          baseUrl,
          httpClient: http.pipe(
            HttpClient.mapRequestEffect((request) =>
              Effect.map(headers, (headers) =>
                request.pipe(
                  HttpClientRequest.setHeaders(headers),
                  (request) => HttpClientRequest.setUrlParams(request, missing(request, scope))
                ))
            ),
            // Spans carry headers: not this one.
            HttpClient.transform((effect) => Effect.updateService(effect, Headers.CurrentRedactedNames, redactToken))
          )
        })
      })
    const brief = yield* apiOver(connections.brief)
    const vital = yield* apiOver(connections.vital)
    const many = yield* apiOver(connections.many)
    const address = socketPath === undefined ? baseUrl : `unix://${socketPath}`
    const shared = yield* RcMap.make({ lookup: (entry: SharedEntry) => entry.make })
    const notice = makeOutageLog(address)
    const told = <A>(effect: Effect.Effect<A, ConsulError.ConsulError>) =>
      effect.pipe(Effect.tap(() => notice(undefined)), Effect.tapError(notice))
    let atLeisure = 0
    return ConsulClient.of({
      address,
      datacenter: settings.datacenter,
      share: <A>(key: string, make: Effect.Effect<A, never, Scope.Scope>) =>
        RcMap.get(shared, new SharedEntry(key, make)) as Effect.Effect<A, never, Scope.Scope>,
      call: (name, request, timeout = defaultTimeout) => {
        const what = `${name} at ${address}`
        return told(
          Effect.timeoutOrElse(Effect.mapError(request(brief), (error) => toConsulError(what, error)), {
            duration: timeout,
            orElse: () => Effect.fail(ConsulError.timedOut(what, Duration.fromInputUnsafe(timeout)))
          })
        )
      },
      hold: (name, kind, wait, request) => {
        const what = `${name} at ${address}`
        // A span for each wait of minutes would tell nobody anything.
        const ask = (api: Api, wait: string) =>
          told(Effect.mapError(request(api, wait), (error) => toConsulError(what, error))).pipe(
            Effect.provideService(HttpClient.TracerDisabledWhen, Function.constTrue)
          )
        if (kind === "vital") return ask(vital, wait)
        return Effect.suspend(() => {
          if (atLeisure >= manyAtLeisure) return ask(many, turn)
          atLeisure++
          return Effect.ensuring(ask(many, wait), Effect.sync(() => atLeisure--))
        })
      }
    })
  })

/** One line when the agent goes away and one when it is back, however many requests and watches notice. */
const makeOutageLog = (address: string) => {
  let away = false
  return (error: ConsulError.ConsulError | undefined): Effect.Effect<void> => {
    const unreachable = error?.reason._tag === "Unreachable"
    if (unreachable === away) return Effect.void
    away = unreachable
    return unreachable
      ? Effect.logWarning(`${error.message}. What is known stays in force meanwhile`)
      : Effect.logInfo(`the agent at ${address} answers again`)
  }
}

/** The agent that the environment names (`CONSUL_HTTP_ADDR` and its siblings). `options` win over it. */
export const layer = (
  options?: Partial<Settings.Settings>
): Layer.Layer<ConsulClient, Settings.InvalidSettings | Config.ConfigError> =>
  Layer.effect(ConsulClient, Effect.flatMap(Settings.fromEnvironment(options), make))

/** The query parameters of a blocking query: without an index the agent answers at once. */
export const blocking = (known: { readonly cursor: bigint | undefined; readonly wait: string }) =>
  known.cursor === undefined ? {} : { index: known.cursor, wait: known.wait }

const redactToken = (names: ReadonlyArray<string | RegExp>) => [...names, "x-consul-token"]

/** Equal by its key, whoever made it. */
class SharedEntry implements Equal.Equal {
  readonly key: string
  readonly make: Effect.Effect<unknown, never, Scope.Scope>
  constructor(key: string, make: Effect.Effect<unknown, never, Scope.Scope>) {
    this.key = key
    this.make = make
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof SharedEntry && that.key === this.key
  }
  [Hash.symbol](): number {
    return Hash.string(this.key)
  }
}

/** Namespace, partition and datacenter, for requests that do not say otherwise. */
const scopeParams = (settings: Settings.Settings): ReadonlyArray<readonly [string, string]> =>
  ([["ns", settings.namespace], ["partition", settings.partition], ["dc", settings.datacenter]] as const)
    .flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const])

const missing = (
  request: HttpClientRequest.HttpClientRequest,
  params: ReadonlyArray<readonly [string, string]>
): Array<readonly [string, string]> =>
  params.filter(([name]) => !request.urlParams.params.some(([present]) => present === name))

const tls = (settings: Settings.Settings) =>
  Effect.gen(function*() {
    if ((settings.clientCertFile === undefined) !== (settings.clientKeyFile === undefined)) {
      return yield* new Settings.InvalidSettings({
        setting: "CONSUL_CLIENT_CERT",
        why: "and CONSUL_CLIENT_KEY go together: set both or neither"
      })
    }
    const ca = [
      ...(settings.caFile === undefined ? [] : [yield* readPem("CONSUL_CACERT", settings.caFile)]),
      ...(settings.caPath === undefined ? [] : yield* readDirectory("CONSUL_CAPATH", settings.caPath))
    ]
    return {
      rejectUnauthorized: settings.sslVerify,
      ...(ca.length === 0 ? {} : { ca }),
      ...(settings.clientCertFile === undefined
        ? {}
        : { cert: yield* readPem("CONSUL_CLIENT_CERT", settings.clientCertFile) }),
      ...(settings.clientKeyFile === undefined
        ? {}
        : { key: yield* readPem("CONSUL_CLIENT_KEY", settings.clientKeyFile) }),
      ...(settings.tlsServerName === undefined ? {} : { servername: settings.tlsServerName.replace(/:\d+$/, "") })
    }
  })

const readPem = (setting: string, path: string): Effect.Effect<string, Settings.InvalidSettings> =>
  Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: (cause) => unreadable(setting, path, cause)
  }).pipe(
    Effect.filterOrFail(
      (text) => text.includes("-----BEGIN "),
      () => new Settings.InvalidSettings({ setting, why: `names ${path}, which holds no PEM text` })
    )
  )

const readDirectory = (setting: string, path: string): Effect.Effect<ReadonlyArray<string>, Settings.InvalidSettings> =>
  Effect.tryPromise({ try: () => readdir(path), catch: (cause) => unreadable(setting, path, cause) }).pipe(
    Effect.flatMap((names) => Effect.forEach(names.toSorted(), (name) => readPem(setting, join(path, name))))
  )

const unreadable = (setting: string, path: string, cause: unknown): Settings.InvalidSettings =>
  new Settings.InvalidSettings({ setting, why: `names ${path}, which cannot be read (${reasonOf(cause)})` })

const toConsulError = (what: string, error: CallError): ConsulError.ConsulError => {
  if (HttpClientError.isHttpClientError(error)) {
    const { reason, response } = error
    if (response !== undefined && response.status >= 300) return ConsulError.fromStatus(what, response.status, "")
    const cause = "cause" in reason ? reason.cause : undefined
    return isTransport(reason, cause)
      ? new ConsulError.ConsulError({
        request: what,
        reason: new ConsulError.Unreachable({ why: reasonOf(cause) })
      })
      : ConsulError.undecodable(what, isTooLarge(cause) ? `it is larger than ${maxAnswerBytes} bytes` : "it is no JSON")
  }
  if (Schema.isSchemaError(error)) {
    return ConsulError.undecodable(what, error.message.split("\n").slice(0, 3).join(" ").slice(0, 256))
  }
  return ConsulError.fromStatus(what, statusOf[error._tag], error.body)
}

const statusOf: Record<ApiError.ApiError["_tag"], number> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  TooManyRequests: 429,
  InternalError: 500,
  Unavailable: 503
}

/** The connection failed, before the answer or in its middle. */
const isTransport = (reason: HttpClientError.HttpClientErrorReason, cause: unknown): boolean =>
  !isTooLarge(cause) && (reason._tag === "TransportError" || codeOf(cause) !== undefined)

const isTooLarge = (cause: unknown): boolean => codeOf(cause) === "UND_ERR_RES_EXCEEDED_MAX_SIZE"

/** The code of a Node or undici error, or of what caused it. */
const codeOf = (cause: unknown): string | undefined =>
  typeof cause !== "object" || cause === null
    ? undefined
    : "code" in cause && typeof cause.code === "string"
    ? cause.code
    : "cause" in cause
    ? codeOf(cause.cause)
    : undefined

const reasonOf = (cause: unknown): string =>
  cause instanceof AggregateError && cause.errors.length > 0
    ? reasonOf(cause.errors[0])
    : cause instanceof Error
    ? codeOf(cause) === "ERR_SSL_WRONG_VERSION_NUMBER"
      ? ConsulError.noTls
      : cause.message || codeOf(cause) || cause.name
    : "the connection failed"
