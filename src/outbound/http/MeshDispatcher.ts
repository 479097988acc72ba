/**
 * undici's `Dispatcher` over the mesh: the host of each request names a service, an instance of it is chosen, and the
 * connection to it is mutual TLS with exactly its identity. For Effect's `HttpClient` there is `MeshHttpClient`; everything
 * else that takes a dispatcher, `fetch` and `undici.request` among them, can have this one. One attempt for each request.
 */
import * as Undici from "@effect/platform-node/Undici"
import { Context, Deferred, Duration, Effect, Exit, FiberSet, Layer, Result, Scope } from "effect"
import type * as HashKey from "../../route/HashKey.ts"
import * as Catalogue from "../../observe/Catalogue.ts"
import * as Meter from "../../observe/Meter.ts"
import * as SecureContexts from "../../tls/SecureContexts.ts"
import * as Connect from "../Connect.ts"
import * as DialError from "../DialError.ts"
import * as HttpMetrics from "../../observe/HttpMetrics.ts"
import * as HttpUpstream from "./HttpUpstream.ts"
import * as ObservedRequest from "./ObservedRequest.ts"
import * as RequestFailed from "./RequestFailed.ts"
import * as Resolver from "../Resolver.ts"
import * as RouteInstances from "../RouteInstances.ts"
import * as Tracing from "../../observe/Tracing.ts"

export interface Options extends HttpUpstream.Options {
  /** What a host names, where Consul's names do not tell; asked once for each host. Undefined: they do. */
  readonly resolve?: ((host: string) => Resolver.Input | undefined) | undefined
  /**
   * How many services may be watched at a time. For another one the longest unused is let go; where all are in use, requests
   * to the other one fail. Default: 250.
   */
  readonly maxServices?: number | undefined
  /**
   * How long nobody has to ask for a service until its watches and connections end. Default: 5 minutes; at most 10 seconds for
   * a name that leads to nobody, as outsiders may choose the names that a program forwards to.
   */
  readonly serviceIdleMillis?: number | undefined
}

export interface Stats {
  /** Services that are being watched. */
  readonly services: number
  /** Requests without a whole answer. */
  readonly active: number
  /** Answered, by `source destination code`. */
  readonly requests: Readonly<Record<string, number>>
}

/** What attempts at one request have in common: pass it as `opaque`. Instances that were tried are avoided. */
export class Attempts {
  readonly tried = new Set<string>()
  /** How many there were. */
  made = 0
}

export class MeshDispatcher extends Context.Service<MeshDispatcher, {
  readonly undici: Undici.Dispatcher
  readonly stats: () => Stats
}>()("effect-mesh/native/MeshDispatcher") {}

const defaultIdleMillis = 300_000
const maxUnknownIdleMillis = 10_000

/** Each costs a watch of its chain and one for each of its targets. */
const defaultMaxServices = 250

interface Entry {
  readonly made: Deferred.Deferred<HttpUpstream.HttpUpstream>
  readonly scope: Scope.Closeable
  upstream: HttpUpstream.HttpUpstream | undefined
  usedAt: number
  /** Requests that wait for its instances. */
  waiting: number
}

interface Origin {
  /** With its port. */
  readonly host: string
  readonly hostname: string
  readonly named: Result.Result<Resolver.Resolver, DialError.UnknownName>
}

export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<
  MeshDispatcher["Service"],
  never,
  SecureContexts.SecureContexts | Resolver.Sources | Scope.Scope
> {
  const contexts = yield* SecureContexts.SecureContexts
  const context = yield* Effect.context<never>()
  const scope = yield* Effect.scope
  const run = yield* FiberSet.makeRuntime<Resolver.Sources>()
  let closed = false
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      closed = true
    })
  )
  const entries = new Map<string, Entry>()
  const active = () => [...entries.values()].reduce((sum, { upstream }) => sum + (upstream?.active() ?? 0), 0)
  const metrics = yield* HttpMetrics.make("outbound", active)
  const { service: source } = contexts.current().leaf.identity

  const open: HttpUpstream.Open = (target, endpoint, timeoutMillis, alpn) =>
    Effect.suspend(() => {
      const material = contexts.current()
      return Connect.open(
        { ...RouteInstances.dialling(target, endpoint, material), alpn, timeoutMillis },
        material,
        context
      )
    })

  const maxServices = options.maxServices ?? defaultMaxServices
  const idleMillis = options.serviceIdleMillis ?? defaultIdleMillis
  const unknownMillis = Math.min(idleMillis, maxUnknownIdleMillis)

  const isUnused = ({ upstream, waiting }: Entry): boolean => waiting === 0 && (upstream?.active() ?? 0) === 0

  /** From then on requests make a new one. */
  const letGo = (key: string, { scope }: Entry): Effect.Effect<void> => {
    entries.delete(key)
    return Scope.close(scope, Exit.void)
  }

  /** Whether there is a place for another service. */
  const makePlace = (): boolean => {
    if (entries.size < maxServices) return true
    let longest: readonly [string, Entry] | undefined
    for (const each of entries) {
      if (isUnused(each[1]) && (longest === undefined || each[1].usedAt < longest[1].usedAt)) longest = each
    }
    if (longest === undefined) return false
    run(letGo(...longest))
    return true
  }

  /** Undefined: there is no place for it. */
  const entryOf = (resolver: Resolver.Resolver): Entry | undefined => {
    const known = entries.get(resolver.key)
    if (known !== undefined) return known
    if (!makePlace()) return undefined
    const entry: Entry = {
      made: Deferred.makeUnsafe(),
      scope: Scope.forkUnsafe(scope),
      upstream: undefined,
      usedAt: performance.now(),
      waiting: 0
    }
    entries.set(resolver.key, entry)
    run(
      Effect.gen(function*() {
        entry.upstream = yield* HttpUpstream.make(resolver, yield* resolver.follow, open, options)
        yield* Deferred.succeed(entry.made, entry.upstream)
      }).pipe(Scope.provide(entry.scope))
    )
    return entry
  }

  yield* Effect.forkScoped(Effect.forever(Effect.delay(
    Effect.suspend(() => {
      const now = performance.now()
      const idle = (entry: Entry) =>
        isUnused(entry) && now - entry.usedAt > (entry.upstream?.isKnown() === true ? idleMillis : unknownMillis)
      // All are chosen and taken out at once: what is used from now on is another one.
      const closing = [...entries].filter(([, entry]) => idle(entry)).map(([key, entry]) => letGo(key, entry))
      return Effect.all(closing, { concurrency: "unbounded", discard: true })
    }),
    Duration.millis(unknownMillis)
  )))

  /** Programs call few services: each origin is parsed once. */
  const origins = new Map<string, Origin>()
  const originOf = (text: string): Origin => {
    const known = origins.get(text)
    if (known !== undefined) return known
    const { host, hostname } = URL.canParse(text) ? new URL(text) : { host: text, hostname: text }
    const origin = { host, hostname, named: resolverOf(hostname) }
    if (origins.size < 1000) origins.set(text, origin)
    return origin
  }

  const resolverOf = (host: string): Origin["named"] => {
    const resolved = options.resolve?.(host)
    return resolved === undefined ? Resolver.parse(host) : Result.succeed(Resolver.from(resolved))
  }

  const dispatch = (
    upstream: HttpUpstream.HttpUpstream,
    host: string,
    request: Undici.Dispatcher.DispatchOptions,
    handler: Undici.Dispatcher.DispatchHandler,
    traced: Tracing.Traced | undefined
  ): boolean => {
    const headers = recordOf(request.headers)
    const attempts = "opaque" in request && request.opaque instanceof Attempts ? request.opaque : undefined
    const hashed: HashKey.Request = {
      path: request.path,
      header: (name) => {
        const value = headers?.[name]
        return typeof value === "string" ? value : value?.[0]
      }
    }
    const picked = upstream.pick(attempts?.tried ?? nobody, hashed)
    if (!("pool" in picked)) {
      unreachable(handler, upstream.service, picked, traced)
      return true
    }
    if (attempts !== undefined) {
      if (attempts.made++ > 0) {
        Meter.count(Catalogue.retries, { destination: upstream.service }, context).value++
      }
      attempts.tried.add(picked.id)
    }
    if (traced !== undefined) describe(traced, picked, attempts)
    picked.active++
    const observed = new ObservedRequest.ObservedRequest(
      handler,
      picked,
      upstream.service,
      (code, since) => metrics.answered(source, upstream.service, code, since),
      traced?.span
    )
    const named = headers === undefined || headers["host"] !== undefined
      ? request
      : { ...request, headers: { ...headers, host } }
    if (traced === undefined) return picked.pool.dispatch(named, observed)
    // A connection that is made for this request is part of its trace.
    picked.dialledFor = traced
    try {
      return picked.pool.dispatch(withTraceState(named, traced), observed)
    } finally {
      picked.dialledFor = undefined
    }
  }

  const unreachable = (
    handler: Undici.Dispatcher.DispatchHandler,
    service: string,
    reason: RequestFailed.Reason,
    traced: Tracing.Traced | undefined
  ): void => {
    metrics.answered(source, service, "unreachable", undefined)
    traced?.span.attribute(Tracing.attributes.source, source)
    traced?.span.attribute(Tracing.attributes.destination, service)
    traced?.span.attribute(Tracing.attributes.failure, reason._tag)
    fail(handler, new RequestFailed.RequestFailed({ service, sent: false, reason }))
  }

  const describe = (
    { span }: Tracing.Traced,
    { address, id, service }: HttpUpstream.Instance,
    attempts: Attempts | undefined
  ): void => {
    span.attribute(Tracing.attributes.source, source)
    span.attribute(Tracing.attributes.destination, service)
    span.attribute(Tracing.attributes.instance, id)
    span.attribute(Tracing.attributes.address, address)
    if (attempts !== undefined) span.attribute(Tracing.attributes.resent, attempts.made - 1)
  }

  class Dispatcher extends Undici.Dispatcher {
    readonly #older = new Undici.Dispatcher1Wrapper(this)

    override dispatch(
      request: Undici.Dispatcher.DispatchOptions,
      handler: Undici.Dispatcher.DispatchHandler
    ): boolean {
      // As older versions of undici have them: Node's own `fetch` does.
      if (handler.onRequestStart === undefined) return this.#older.dispatch(request, handler)
      const { host, hostname, named } = originOf(String(request.origin))
      if (Result.isFailure(named)) {
        fail(handler, new RequestFailed.RequestFailed({ service: hostname, sent: false, reason: named.failure }))
        return true
      }
      const { name } = named.success
      const traced = Tracing.current("client")
      if (closed) {
        unreachable(handler, name, ours, traced)
        return true
      }
      const entry = entryOf(named.success)
      if (entry === undefined) {
        unreachable(handler, name, new DialError.UnknownName({ name, why: tooMany(maxServices) }), traced)
        return true
      }
      entry.usedAt = performance.now()
      if (entry.upstream?.isReady() === true) return dispatch(entry.upstream, host, request, handler, traced)
      entry.waiting++
      run(
        Deferred.await(entry.made).pipe(
          Effect.flatMap((upstream) => Effect.as(upstream.ready, upstream)),
          Effect.ensuring(Effect.sync(() => entry.waiting--)),
          Effect.match({
            onSuccess: (upstream) => dispatch(upstream, host, request, handler, traced),
            onFailure: (reason) => unreachable(handler, name, reason, traced)
          }),
          Effect.onInterrupt(() => Effect.sync(() => unreachable(handler, name, ours, traced)))
        )
      )
      return true
    }
  }

  return {
    undici: new Dispatcher(),
    stats: () => ({
      services: entries.size,
      active: active(),
      requests: metrics.totals().requests
    })
  }
})

export const layer = (options: Options = {}): Layer.Layer<
  MeshDispatcher,
  never,
  SecureContexts.SecureContexts | Resolver.Sources
> => Layer.effect(MeshDispatcher, make(options))

const tooMany = (limit: number): string =>
  `${limit} other services are being called at this moment, and no more are watched. Raise maxServices if these are not ` +
  "names that outsiders have chosen"

const nobody: ReadonlySet<string> = new Set()

const ours = new RequestFailed.ConnectionLost({ code: "UND_ERR_DESTROYED" })

/** For a request that nobody has begun to carry out. */
const fail = (handler: Undici.Dispatcher.DispatchHandler, error: Error): void =>
  handler.onResponseError?.({
    aborted: true,
    paused: false,
    reason: error,
    abort: () => {},
    pause: () => {},
    resume: () => {}
  }, error)

const withTraceState = (
  request: Undici.Dispatcher.DispatchOptions,
  traced: Tracing.Traced
): Undici.Dispatcher.DispatchOptions => {
  const state = Tracing.traceStateOf(traced)
  const headers = recordOf(request.headers)
  return state === undefined || headers === undefined || headers["tracestate"] !== undefined
    ? request
    : { ...request, headers: { ...headers, tracestate: state } }
}

const recordOf = (
  headers: Undici.Dispatcher.DispatchOptions["headers"]
): Readonly<Record<string, string | Array<string> | undefined>> | undefined =>
  headers === undefined || headers === null
    ? {}
    : Array.isArray(headers) || Symbol.iterator in headers
    ? undefined
    : headers as Record<string, string | Array<string> | undefined>
