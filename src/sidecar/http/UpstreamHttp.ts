/**
 * HTTP of the application to one upstream: which protocol the service has is looked at when a connection arrives, where a request
 * goes when it does.
 */
import { type Context, Effect, Exit, Result, Schedule, Scope, Semaphore, Stream } from "effect"
import * as Clients from "../../http/relay/Clients.ts"
import * as Deadlines from "../../http/relay/Deadlines.ts"
import type * as Exchange from "../../http/relay/Exchange.ts"
import * as GrpcBridge from "../../http/relay/GrpcBridge.ts"
import type * as Marks from "../../http/relay/Marks.ts"
import * as OwnAnswer from "../../http/relay/OwnAnswer.ts"
import * as OwnAnswers from "../../http/relay/OwnAnswers.ts"
import * as Relay from "../../http/relay/Relay.ts"
import * as RetryBudget from "../../http/relay/RetryBudget.ts"
import * as HttpLimits from "../../http/HttpLimits.ts"
import * as Fibers from "../../net/Fibers.ts"
import type * as Splice from "../../net/Splice.ts"
import * as HttpMetrics from "../../observe/HttpMetrics.ts"
import * as Meter from "../../observe/Meter.ts"
import * as MetricCatalogue from "../../observe/MetricCatalogue.ts"
import * as Tracing from "../../observe/Tracing.ts"
import type * as DestinationStatus from "../../outbound/DestinationStatus.ts"
import type * as Forwarder from "../../outbound/Forwarder.ts"
import * as UpstreamFor from "../../outbound/http/UpstreamFor.ts"
import * as RelayReport from "../../outbound/RelayReport.ts"
import * as Resolver from "../../outbound/Resolver.ts"
import * as HttpRoutes from "../../route/HttpRoutes.ts"
import type * as SecureContexts from "../../tls/SecureContexts.ts"
import type * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import type * as AccessLogWriter from "../log/AccessLogWriter.ts"
import * as MeshPools from "./MeshPools.ts"
import * as RefusedRequest from "./RefusedRequest.ts"
import * as RequestStart from "./RequestStart.ts"
import * as UpstreamPlan from "./UpstreamPlan.ts"

export interface UpstreamHttp {
  /** How a connection of the application is served. Undefined: as bytes. */
  readonly serve: Effect.Effect<((connection: Splice.Side) => Effect.Effect<void>) | undefined>
  /** The same as far as it is known now: as bytes, or as HTTP. */
  readonly serveNow: () => Forwarder.Now
  /** Takes over what can change while it is open. */
  readonly update: (upstream: ProxyRegistration.Upstream) => void
  /** Asks applications to go elsewhere. */
  readonly drain: Effect.Effect<void>
  /** Asks one of them. Its connection is cut if it is still open after `graceMillis`. */
  readonly retire: (connection: Splice.Side, graceMillis: number) => void
  /** What the service speaks: `tcp` until something else is known. */
  readonly protocol: () => string
  /** The instances of requests. Undefined while none have been sent. */
  readonly targets: () => ReadonlyArray<DestinationStatus.TargetStatus> | undefined
  /** Where requests go. Undefined while it is not known, and where connections are relayed. */
  readonly routes: () => HttpRoutes.HttpRoutes | undefined
}

export interface Options {
  /** In whose name requests are sent. */
  readonly caller: string
  readonly resolverOf: (upstream: ProxyRegistration.Upstream) => Resolver.Resolver
  readonly marks: Marks.Marks
  readonly log: () => AccessLogWriter.Log | undefined
  /** By which clients come. Default: `http`. */
  readonly scheme?: "http" | "https" | undefined
  /** What a request is answered that no route takes. Default: that there is no healthy instance. */
  readonly unrouted?: OwnAnswer.OwnAnswer | undefined
}

/** What is followed for one version of HTTP. */
interface Followed {
  /** What it was made for: where this changes, another one takes over. */
  readonly key: string
  readonly version: Exchange.Version
  readonly scope: Scope.Closeable
  readonly shared: UpstreamPlan.Shared
}

export const make = Effect.fnUntraced(function*(
  registered: ProxyRegistration.Upstream,
  { caller, log, marks, resolverOf, scheme = "http", unrouted = OwnAnswers.noHealthyInstance }: Options
): Effect.fn.Return<UpstreamHttp, never, SecureContexts.SecureContexts | Resolver.Sources | Scope.Scope> {
  const resolver = resolverOf(registered)
  const context = yield* Effect.context<SecureContexts.SecureContexts | Resolver.Sources>()
  const scope = yield* Effect.scope
  const { run } = yield* Fibers.make()
  const deadlines = yield* Deadlines.make
  const chain = resolver.followChain === undefined ? undefined : yield* resolver.followChain
  const turn = Semaphore.makeUnsafe(1)
  let upstream = registered
  let followed: Followed | undefined
  const tracer = yield* Tracing.collector
  const routed = routedBy(resolver.name, context)
  const report = yield* RelayReport.make(caller)
  const refused = (remote: string): void => run(report.refused(resolver.name, remote))
  const metrics = yield* HttpMetrics.make("outbound", () => followed?.shared.upstream.active() ?? 0)

  const protocol = () => upstream.protocol ?? chain?.latest()?.Protocol
  const isUnknown = () => upstream.protocol === undefined && chain !== undefined && chain.latest() === undefined
  const version = (): Exchange.Version | undefined => {
    switch (protocol()) {
      case "http":
        return "1.1"
      case "http2":
      case "grpc":
        return "2"
      default:
        return undefined
    }
  }

  const follow = Effect.fnUntraced(
    function*(version: Exchange.Version) {
      const key = JSON.stringify([
        version,
        upstream.limits,
        upstream.passiveHealthCheck,
        upstream.connectTimeoutMillis,
        upstream.connections,
        upstream.tunnels
      ])
      if (followed?.key === key) return
      const own = yield* Scope.fork(scope)
      const left = followed
      const { connections, tunnels } = upstream
      const pooling = yield* MeshPools.make(version, limitsOf(upstream), connections, tunnels !== false).pipe(
        Scope.provide(own)
      )
      const made = yield* UpstreamFor.make(resolverOf(upstream), pooling, {
        outliers: upstream.passiveHealthCheck,
        ejection: "strict"
      }).pipe(Scope.provide(own))
      const budget = RetryBudget.make()
      const destination = made.service
      yield* Effect.all([
        Meter.follow(MetricCatalogue.retries, { destination }, () => budget.granted),
        Meter.follow(MetricCatalogue.retriesRefused, { destination }, () => budget.refused)
      ]).pipe(Scope.provide(own))
      followed = {
        key,
        version,
        scope: own,
        shared: {
          source: caller,
          upstream: made,
          marks,
          budget,
          metrics,
          routed,
          tracer,
          refused,
          log,
          scheme,
          unrouted
        }
      }
      if (left !== undefined) run(leave(left))
    },
    Semaphore.withPermit(turn),
    Effect.uninterruptible,
    Effect.provideContext(context)
  )

  /** What is being used follows changes at once: connections of the application may last. */
  const refollow = Effect.suspend(() => {
    const spoken = version()
    return followed === undefined || spoken === undefined ? Effect.void : follow(spoken)
  })
  if (chain !== undefined) yield* Effect.forkScoped(Stream.runForEach(chain.changes, () => refollow))

  const handle = (client: Exchange.ServerExchange): void => {
    const bridges = client.version === "1.1" && protocol() === "grpc" && OwnAnswer.isGrpc(client.request)
    const server = bridges ? new GrpcBridge.GrpcBridge(client) : client
    const start = RequestStart.read(server)
    if (RequestStart.isRefusal(start)) return RefusedRequest.answer(server, start, { log, marks })
    const shared = followed?.shared
    if (shared === undefined) return server.abort()
    const begin = () => new Relay.Relay(server, new UpstreamPlan.UpstreamPlan(shared, server, start), deadlines).start()
    if (shared.upstream.isReady()) return begin()
    run(Effect.andThen(Effect.ignore(shared.upstream.ready), Effect.sync(begin)))
  }
  const clients = yield* Clients.make<Splice.Side>({
    limits: HttpLimits.complete({ idleTimeout: "1 hour" }),
    marks,
    protocols: ["http/1.1", "h2"],
    handle,
    remembers: () => log() !== undefined,
    abused: () => {}
  })
  return {
    drain: Effect.sync(clients.drain),
    retire: clients.retire,
    protocol: () => protocol() ?? "tcp",
    targets: () => version() === undefined ? undefined : followed?.shared.upstream.status(),
    routes: () => {
      const current = version() === undefined ? undefined : chain?.latest()
      return current === undefined ? undefined : Result.getOrUndefined(HttpRoutes.compile(current))
    },
    update: (next) => {
      upstream = next
      run(refollow)
    },
    serveNow: () => {
      if (isUnknown()) return undefined
      const spoken = version()
      return spoken === undefined ? "bytes" : followed?.version === spoken ? clients.begin : undefined
    },
    serve: Effect.gen(function*() {
      if (isUnknown() && chain !== undefined) {
        yield* Effect.timeoutOption(chain.get, resolver.patienceMillis)
      }
      const spoken = version()
      if (spoken === undefined) return undefined
      // Other changes are followed as they come: a connection need not look for them.
      if (followed?.version !== spoken) yield* follow(spoken)
      return clients.serve
    })
  }
})

/** Counts by route and target: a look-up for each request. */
const routedBy = (destination: string, context: Context.Context<never>): UpstreamPlan.Shared["routed"] => {
  const counts = new Map<string, Meter.Count>()
  return (route, target, code) => {
    const key = `${route} ${target} ${code}`
    let count = counts.get(key)
    if (count === undefined) {
      count = Meter.count(MetricCatalogue.routedRequests, { destination, route, target, code: String(code) }, context)
      counts.set(key, count)
    }
    count.value++
  }
}

/** The requests at hand are finished first. */
const leave = ({ scope, shared: { upstream } }: Followed): Effect.Effect<void> =>
  Effect.andThen(
    Effect.repeat(Effect.void, { schedule: Schedule.spaced("1 second"), until: () => upstream.active() === 0 }),
    Scope.close(scope, Exit.void)
  )

const limitsOf = ({ limits }: ProxyRegistration.Upstream) =>
  Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined))
