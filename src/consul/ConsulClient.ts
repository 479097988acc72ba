/**
 * The HTTP API of a Consul agent, as a client. It is derived from `ConsulApi`; this file adds how the agent is reached
 * (address, TLS, token) and what its failures mean.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeStream from "@effect/platform-node/NodeStream"
import {
  ByteSize,
  type Config,
  Context,
  Duration,
  Effect,
  Equal,
  Function,
  Hash,
  Layer,
  Metric,
  Random,
  RcMap,
  References,
  Schema,
  type Scope
} from "effect"
import { Headers, HttpClient, HttpClientError, HttpClientRequest, HttpIncomingMessage } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import * as AgentSockets from "./AgentSockets.ts"
import type * as ApiError from "./ApiError.ts"
import * as Connections from "./Connections.ts"
import * as ConsulApi from "./ConsulApi.ts"
import * as ConsulError from "./ConsulError.ts"
import * as Credentials from "./Credentials.ts"
import * as SameAnswer from "./SameAnswer.ts"
import * as Settings from "./Settings.ts"
import * as TransportFailure from "./TransportFailure.ts"

export type Api = HttpApiClient.ForApi<typeof ConsulApi.ConsulApi, SameAnswer.SameAnswer>

/** What a call of a derived method may fail with. */
export type CallError =
  | ApiError.ApiError
  | HttpClientError.HttpClientError
  | Schema.SchemaError
  | SameAnswer.SameAnswer

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
   * One request of a blocking query, which watches the time. Where something is known already, the agent may hold it until
   * there is news. `request` is given what it may say to the agent: less than `known`, where the agent is not to hold it, or
   * not for so long.
   */
  readonly hold: <A, E extends CallError, C>(
    name: string,
    sharing: Sharing,
    known: Known<C>,
    request: (api: Api, known: Known<C>) => Effect.Effect<A, E>
  ) => Effect.Effect<A, ConsulError.ConsulError>
  /**
   * One value for each key of this client: made for the first caller, shared with every later one, and closed with the last of
   * their scopes. So two services in one process do not watch the same thing twice. Its metrics and lines of the log carry the
   * attributes and annotations of the client, not those of whoever happens to be the first caller.
   */
  readonly share: <A>(key: string, make: Effect.Effect<A, never, Scope.Scope>) => Effect.Effect<A, never, Scope.Scope>
}>()("effect-mesh/consul/ConsulClient") {}

/** What a blocking query says to be known, and how long the agent may hold it. */
export interface Known<out C> {
  readonly cursor: C | undefined
  readonly wait: string
  /** Of whoever asks this very question again and again: an answer that is repeated fails instead of being decoded. */
  readonly memory?: SameAnswer.Memory | undefined
}

/**
 * How a blocking query shares the connections to the agent with others, so that none of those that everything rests on
 * (roots, leaf, intentions, protocol, registration) ever stands in line behind another.
 * - `vital`: one of a few for the whole process: held.
 * - `InTime`: one of several for each service: held while there is room. Beyond, it is asked now and then.
 * - `many`: chains and instances of upstreams: they take turns where there are more of them than connections.
 */
export type Sharing = "vital" | "many" | InTime

export interface InTime {
  /** Between two questions that the agent does not hold, up to a tenth earlier. */
  readonly every: Duration.Input
  /** Ends when there is a reason to ask at once. */
  readonly news: Effect.Effect<void>
}

/** Answers larger than this are refused: 64 MiB, some hundred thousand instances. */
const maxAnswerBytes = 64 * 1024 * 1024

/** How long a request that does not block may take. */
const defaultTimeout = Duration.seconds(10)

/** How long each of the rest is held. */
const turn = "2000ms"

export const make = (
  settings: Settings.Settings
): Effect.Effect<ConsulClient["Service"], Settings.InvalidSettings, Scope.Scope> =>
  Effect.gen(function*() {
    const { baseUrl, socketPath } = yield* Effect.fromResult(Settings.endpoint(settings))
    const address = socketPath === undefined ? baseUrl : `unix://${socketPath}`
    const sizes = Connections.sizes(yield* Connections.Sharers)
    const ways = yield* makeWays(address, sizes, {
      ...(yield* tls(settings)),
      ...(socketPath === undefined ? {} : { socketPath })
    })
    const { headers } = yield* Credentials.make(settings)
    const api = deriveApi(baseUrl, ways, headers, scopeParams(settings))
    const metricAttributes = yield* Metric.CurrentMetricAttributes
    const logAnnotations = yield* References.CurrentLogAnnotations
    const shared = yield* RcMap.make({
      lookup: (entry: SharedEntry) =>
        entry.make.pipe(
          Effect.provideService(Metric.CurrentMetricAttributes, metricAttributes),
          Effect.provideService(References.CurrentLogAnnotations, logAnnotations)
        )
    })
    const told = reportOutages(address)
    const over = <A, E extends CallError>(
      { line, purpose }: Way,
      what: string,
      request: (api: Api) => Effect.Effect<A, E>,
      timeout?: Duration.Duration
    ) => {
      const answer = request(api).pipe(
        Effect.mapError((error) => toConsulError(what, error, settings)),
        Effect.provideService(Purpose, purpose)
      )
      return line.through(timeout === undefined ? answer : within(what, timeout, answer))
    }
    const inTime = makeTurns(Connections.heldInTime(sizes))
    const atLeisure = makeTurns(Connections.manyAtLeisure(sizes))
    return ConsulClient.of({
      address,
      datacenter: settings.datacenter,
      share: <A>(key: string, make: Effect.Effect<A, never, Scope.Scope>) =>
        RcMap.get(shared, new SharedEntry(key, make)) as Effect.Effect<A, never, Scope.Scope>,
      call: (name, request, timeout = defaultTimeout) => {
        const what = `${name} at ${address}`
        return told(within(what, Duration.fromInputUnsafe(timeout), over(ways.call, what, request)), false)
      },
      hold: (name, sharing, known, request) => {
        const what = `${name} at ${address}`
        const ask = over(ways.ask, what, (api) => request(api, { ...known, cursor: undefined }), defaultTimeout)
        const held = (way: Way, wait = known.wait) => over(way, what, (api) => request(api, { ...known, wait }))
        const once = known.cursor === undefined
          ? ask
          : sharing === "vital"
          ? held(ways.vital)
          : sharing === "many"
          ? atLeisure(held(ways.many), held(ways.many, turn))
          : inTime(held(ways.vital), Effect.andThen(pause(sharing, known.wait), ask))
        // A span for each wait of minutes would be of no use.
        return Effect.provideService(
          SameAnswer.remembered(known.memory, told(once, true)),
          HttpClient.TracerDisabledWhen,
          Function.constTrue
        )
      }
    })
  })

/** Which connections a request goes over. */
const Purpose = Context.Reference<Connections.Purpose>("effect-mesh/consul/ConsulClient/Purpose", {
  defaultValue: () => "call"
})

/** One purpose's connections. */
interface Way {
  readonly purpose: Connections.Purpose
  readonly http: HttpClient.HttpClient
  readonly line: Connections.Line
}

type Ways = Readonly<Record<Connections.Purpose, Way>>

const makeWays = (
  address: string,
  sizes: Connections.Sizes,
  connect: Omit<AgentSockets.Options, "connections">
): Effect.Effect<Ways, never, Scope.Scope> => {
  const make = (purpose: Connections.Purpose) =>
    Effect.gen(function*() {
      const agent = yield* AgentSockets.make({ ...connect, connections: sizes[purpose] })
      const client = yield* Effect.provideService(NodeHttpClient.makeNodeHttp, NodeHttpClient.HttpAgent, agent)
      return { purpose, http: whole(client), line: yield* Connections.line(purpose, sizes[purpose], address) }
    })
  return Effect.all({ call: make("call"), ask: make("ask"), vital: make("vital"), many: make("many") })
}

/** An answer is taken off its connection at once, whether somebody wants to know its body or not: the connection is free again. */
const whole = (client: HttpClient.HttpClient): HttpClient.HttpClient =>
  HttpClient.transformResponse(client, (answer) =>
    Effect.provideService(
      Effect.tap(answer, (response) => response.text),
      HttpIncomingMessage.MaxBodySize,
      ByteSize.fromInputUnsafe(maxAnswerBytes)
    ))

const deriveApi = (
  baseUrl: string,
  ways: Ways,
  headers: Credentials.Credentials["headers"],
  scope: ReadonlyArray<readonly [string, string]>
): Api =>
  deriveAsAsked({
    baseUrl,
    httpClient: ways.call.http.pipe(
      HttpClient.transform((_, request) => Effect.flatMap(Purpose, (purpose) => ways[purpose].http.execute(request))),
      HttpClient.mapRequestEffect((request) =>
        Effect.map(headers, (headers) =>
          request.pipe(
            HttpClientRequest.setHeaders(headers),
            (request) => HttpClientRequest.setUrlParams(request, missing(request, scope))
          ))
      ),
      // Spans carry headers: not this one.
      HttpClient.transform((effect) => Effect.updateService(effect, Headers.CurrentRedactedNames, redactToken)),
      SameAnswer.recognize
    )
  })

/**
 * As `HttpApiClient.makeWith`, for all connections at once, but each method with its first use: a sidecar uses a tenth of them, and all took a
 * tenth of its start.
 */
const deriveAsAsked = (options: {
  readonly baseUrl: string
  readonly httpClient: HttpClient.HttpClient.With<HttpClientError.HttpClientError | SameAnswer.SameAnswer>
}): Api => {
  const groups: Record<string, object> = {}
  for (const { endpoints, identifier: group } of Object.values(ConsulApi.ConsulApi.groups)) {
    const methods = {}
    for (const { identifier: endpoint } of Object.values(endpoints)) {
      const derive = () =>
        Effect.runSync(HttpApiClient.endpoint(ConsulApi.ConsulApi, { ...options, group, endpoint } as never))
      Object.defineProperty(methods, endpoint, {
        configurable: true,
        get: () => {
          const value = derive()
          Object.defineProperty(methods, endpoint, { value })
          return value
        }
      })
    }
    groups[group] = methods
  }
  return groups as Api
}

const within = <A>(what: string, timeout: Duration.Duration, answer: Effect.Effect<A, ConsulError.ConsulError>) =>
  Effect.timeoutOrElse(answer, {
    duration: timeout,
    orElse: () => Effect.fail(ConsulError.timedOut(what, timeout))
  })

/** `first` for so many at once, `otherwise` for the rest. */
const makeTurns = (places: number) => {
  let taken = 0
  return <A, E>(first: Effect.Effect<A, E>, otherwise: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      if (taken >= places) return otherwise
      taken++
      return Effect.ensuring(first, Effect.sync(() => taken--))
    })
}

/** Until it is time to ask again, or there is a reason to. */
const pause = ({ every, news }: InTime, wait: string): Effect.Effect<void> =>
  Effect.flatMap(Random.next, (share) => {
    const most = Math.min(Duration.toMillis(every), Number.parseInt(wait))
    return Effect.timeoutOrElse(news, { duration: most * (1 - share / 10), orElse: () => Effect.void })
  })

/** Tells the log about outages as the requests that it is applied to show them. */
const reportOutages = (address: string) => {
  const outage = makeOutageLog(address)
  return <A>(effect: Effect.Effect<A, ConsulError.ConsulError>, watching: boolean) =>
    effect.pipe(
      Effect.tap(() => outage.answered),
      // An answer all the same, if not the one that was asked for.
      Effect.tapError((error) =>
        error.reason._tag === "Unreachable" || error.reason._tag === "TimedOut"
          ? outage.failed(error, watching)
          : outage.answered
      )
    )
}

/**
 * One line when the agent goes away and one when it is back, however many requests and watches notice. A caller hears of its
 * failure itself, and says so where nothing is known yet: that needs no second line.
 */
const makeOutageLog = (address: string) => {
  let state: "unknown" | "here" | "away" = "unknown"
  let said = false
  return {
    answered: Effect.suspend(() => {
      const back = state === "away"
      state = "here"
      said = false
      return back ? Effect.logInfo(`the agent at ${address} answers again`) : Effect.void
    }),
    failed: (error: ConsulError.ConsulError, watching: boolean) =>
      Effect.suspend(() => {
        if (error.reason._tag !== "Unreachable") return Effect.void
        const known = state === "here"
        state = "away"
        if (said || !(known || watching)) return Effect.void
        said = true
        return Effect.logWarning(
          `${error.message}. ${known ? "What is known stays in force meanwhile" : "Asking again"}`
        )
      })
  }
}

/** The agent that the environment names (`CONSUL_HTTP_ADDR` and its siblings). `options` win over it. */
export const layer = (
  options?: Partial<Settings.Settings>,
  flags?: Settings.Names
): Layer.Layer<ConsulClient, Settings.InvalidSettings | Config.ConfigError> =>
  Layer.effect(ConsulClient, Effect.flatMap(Settings.fromEnvironment(options, flags), make))

/** The query parameters of a blocking query: without an index the agent answers at once. */
export const blocking = (known: Known<bigint>) =>
  known.cursor === undefined ? {} : { index: known.cursor, wait: known.wait }

const redactToken = (names: ReadonlyArray<string | RegExp>) => [...names, "x-consul-token"]

/** Equal by its key alone. */
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

/** Namespace, partition, datacenter and consistency, for requests that do not say otherwise. */
const scopeParams = (settings: Settings.Settings): ReadonlyArray<readonly [string, string]> =>
  ([
    ["ns", settings.namespace],
    ["partition", settings.partition],
    ["dc", settings.datacenter],
    ["stale", settings.stale ? "" : undefined]
  ] as const).flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const])

const missing = (
  request: HttpClientRequest.HttpClientRequest,
  params: ReadonlyArray<readonly [string, string]>
): Array<readonly [string, string]> =>
  params.filter(([name]) => !request.urlParams.params.some(([present]) => present === name))

const tls = (settings: Settings.Settings) =>
  Effect.gen(function*() {
    const nameOf = (setting: Settings.Named) => Settings.nameOf(settings, setting)
    if ((settings.clientCertFile === undefined) !== (settings.clientKeyFile === undefined)) {
      return yield* new Settings.InvalidSettings({
        setting: nameOf("clientCertFile"),
        why: `and ${nameOf("clientKeyFile")} go together: set both or neither`
      })
    }
    const ca = [
      ...(settings.caFile === undefined ? [] : [yield* readPem(nameOf("caFile"), settings.caFile)]),
      ...(settings.caPath === undefined ? [] : yield* readDirectory(nameOf("caPath"), settings.caPath))
    ]
    return {
      rejectUnauthorized: settings.sslVerify,
      ...(ca.length === 0 ? {} : { ca }),
      ...(settings.clientCertFile === undefined
        ? {}
        : { cert: yield* readPem(nameOf("clientCertFile"), settings.clientCertFile) }),
      ...(settings.clientKeyFile === undefined
        ? {}
        : { key: yield* readPem(nameOf("clientKeyFile"), settings.clientKeyFile) }),
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
  new Settings.InvalidSettings({
    setting,
    why: `names ${path}, which cannot be read (${TransportFailure.reasonOf(cause)})`
  })

const toConsulError = (
  what: string,
  error: CallError,
  settings: Settings.Settings
): ConsulError.ConsulError => {
  if (HttpClientError.isHttpClientError(error)) {
    const { reason, response } = error
    if (response !== undefined && response.status >= 300) return ConsulError.fromStatus(what, response.status, "")
    const cause = "cause" in reason ? reason.cause : undefined
    return isTransport(reason, cause)
      ? new ConsulError.ConsulError({
        request: what,
        reason: new ConsulError.Unreachable(TransportFailure.explain(cause, settings))
      })
      : ConsulError.undecodable(what, isTooLarge(cause) ? `it is larger than ${maxAnswerBytes} bytes` : "it is no JSON")
  }
  if (Schema.isSchemaError(error)) {
    return ConsulError.undecodable(what, error.message.split("\n").slice(0, 3).join(" ").slice(0, 256))
  }
  if (error._tag === "SameAnswer") return ConsulError.undecodable(what, error.message)
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
  !isTooLarge(cause) && (reason._tag === "TransportError" || TransportFailure.codeOf(cause) !== undefined)

const isTooLarge = (cause: unknown): boolean => cause instanceof NodeStream.MaxBytesError
