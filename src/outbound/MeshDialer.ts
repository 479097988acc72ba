/**
 * Connects to services of the mesh: resolver → targets → a healthy instance → mutual TLS with exactly the identity that
 * is expected there.
 *
 * What is tried: of the targets in order, the first one with a healthy instance; of its instances, drawn by weight, up to
 * three. All attempts share the connect timeout of the chain; while another instance stands by, an attempt may use half
 * of what is left, so that one that does not answer leaves time for the next. A failing target is not left for the next
 * one while its instances count as healthy: Consul's failover goes by health alone.
 */
import { Context, Effect, Layer, Option, RcMap, Scope } from "effect"
import type * as TcpRoute from "../route/TcpRoute.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import type * as Endpoints from "../watch/Endpoints.ts"
import * as Connect from "./Connect.ts"
import * as DialError from "./DialError.ts"
import * as InstanceChoice from "./InstanceChoice.ts"
import * as Listening from "../net/Listening.ts"
import * as Resolver from "./Resolver.ts"
import * as RouteInstances from "./RouteInstances.ts"
import * as Tracing from "../observe/Tracing.ts"

/** Attempts to connect before giving up. */
const maxAttempts = 3

/** How long nobody has to ask for a service until its watches end. */
const idleTimeToLive = "1 minute"

/** A service whose instances are being watched. */
export interface Route {
  /** A new connection, closed with its scope. Waits for targets and instances at most as long as the connect timeout. */
  readonly connect: Effect.Effect<Connect.Connection, DialError.DialError, Scope.Scope>
  /** The same without a scope, for those who hand it on at once: what it returns must be closed. */
  readonly acquire: Effect.Effect<Connect.Connection, DialError.DialError>
  /** What is known of the way there now. Undefined until the targets have arrived. */
  readonly current: () => RouteInstances.Current | undefined
}

export class MeshDialer extends Context.Service<MeshDialer, {
  /** Watches a service for as long as the scope is open. For those who dial often. */
  readonly route: (to: Resolver.Input) => Effect.Effect<Route, never, Scope.Scope>
  /** One connection, closed with the scope. The watches stay for a minute in case of another. */
  readonly dial: (
    to: Resolver.Input
  ) => Effect.Effect<Connect.Connection, DialError.DialError, Scope.Scope>
  /** One connection to a known address, where `expected` must answer. No discovery, one attempt. */
  readonly dialAddress: (
    options: Connect.Options
  ) => Effect.Effect<Connect.Connection, DialError.DialError, Scope.Scope>
}>()("effect-mesh/native/MeshDialer") {}

export const layer: Layer.Layer<
  MeshDialer,
  never,
  SecureContexts.SecureContexts | Resolver.Sources
> = Layer.effect(
  MeshDialer,
  Effect.gen(function*() {
    const contexts = yield* SecureContexts.SecureContexts
    const context = yield* Effect.context<never>()
    const open = (options: Connect.Options) => Connect.open(options, contexts.current(), context)

    const follow = Effect.fnUntraced(function*(resolver: Resolver.Resolver) {
      const instances = yield* resolver.follow
      const acquire = connect(
        resolver,
        instances,
        (target, endpoint, timeoutMillis) =>
          open({ ...RouteInstances.dialling(target, endpoint, contexts.current()), timeoutMillis })
      )
      const current = () => {
        const latest = instances.latest()
        return latest === undefined || RouteInstances.isUnknown(latest) ? undefined : latest
      }
      const route: Route = { current, acquire, connect: Connect.scoped(acquire) }
      return route
    })

    const routes = yield* RcMap.make({ lookup: follow, idleTimeToLive })
    const route = (to: Resolver.Input) => RcMap.get(routes, Resolver.from(to))
    return MeshDialer.of({
      route,
      dial: (to) =>
        Effect.scopedWith((held) => Effect.flatMap(Scope.provide(route(to), held), ({ connect }) => connect)),
      dialAddress: (options) =>
        Effect.mapError(
          Tracing.dialling(open(options), {
            [Tracing.attributes.destination]: displayed(options.expected),
            [Tracing.attributes.address]: Listening.format(options.address)
          }),
          (reason) => new DialError.DialError({ service: displayed(options.expected), attempts: 1, reason })
        )
    })
  })
)

const displayed = (expected: Connect.Options["expected"]): string =>
  "service" in expected ? SpiffeId.display(expected) : expected.map(SpiffeId.display).join(" or ")

type Open = (
  target: TcpRoute.Target,
  endpoint: Endpoints.Endpoint,
  timeoutMillis: number
) => Effect.Effect<Connect.Connection, DialError.Reason>

const connect = (
  { name, patienceMillis }: Resolver.Resolver,
  instances: RouteInstances.RouteInstances,
  open: Open
): Effect.Effect<Connect.Connection, DialError.DialError> => {
  const failure = (attempts: number, reason: DialError.Reason) =>
    new DialError.DialError({ service: name, attempts, reason })

  const attempt = (
    { endpoints, target }: Chosen,
    deadline: number,
    index: number
  ): Effect.Effect<Connect.Connection, DialError.DialError> => {
    const last = Math.min(maxAttempts, endpoints.length) - 1
    const left = deadline - performance.now()
    const endpoint = endpoints[index]!
    const opening = open(target, endpoint, Math.max(1, Math.ceil(index === last ? left : left / 2)))
    return Tracing.dialling(opening, {
      [Tracing.attributes.destination]: RouteInstances.serviceOf(target, endpoint),
      [Tracing.attributes.instance]: endpoint.id,
      [Tracing.attributes.address]: Listening.format(endpoint.address)
    }).pipe(
      Effect.catch((reason) =>
        index === last || performance.now() >= deadline
          ? Effect.fail(failure(index + 1, reason))
          : Effect.andThen(
            Effect.annotateLogs(Effect.logWarning(`${name}: ${reason.message}. Trying another instance`), {
              direction: "outbound",
              reason: reason._tag,
              destination: RouteInstances.serviceOf(target, endpoint),
              instance: endpoint.id,
              remote: Listening.format(endpoint.address)
            }),
            attempt({ endpoints, target }, deadline, index + 1)
          )
      )
    )
  }

  const start = (current: RouteInstances.Current, started: number) => {
    const deadline = started + current.route.connectTimeoutMillis
    const chosen = chooseNow(current)
    if (chosen !== undefined) return attempt(chosen, deadline, 0)
    return choose(current, deadline).pipe(
      Effect.mapError((reason) => failure(0, reason)),
      Effect.flatMap((chosen) => attempt(chosen, deadline, 0))
    )
  }

  return Effect.suspend(() => {
    const started = performance.now()
    const current = instances.latest()
    if (current !== undefined && !RouteInstances.isUnknown(current)) return start(current, started)
    return within(instances.get, patienceMillis, instances.late).pipe(
      Effect.mapError((reason) => failure(0, reason)),
      Effect.flatMap((current) => start(current, started))
    )
  })
}

/** The instances to try, of the first target that has a healthy one. */
interface Chosen {
  readonly target: TcpRoute.Target
  readonly endpoints: ReadonlyArray<Endpoints.Endpoint>
}

/** Without waiting, where what is known suffices: mostly it does. */
const chooseNow = (current: RouteInstances.Current): Chosen | undefined => {
  for (const { instances, target } of current.targets) {
    const known = instances.latest()
    if (known === undefined) return undefined
    const endpoints = InstanceChoice.order(known, Math.random)
    if (endpoints.length > 0) return { target, endpoints }
  }
  return undefined
}

/** Waits for the instances of each target. Targets not heard of in time are passed over. */
const choose = Effect.fnUntraced(function*(
  current: RouteInstances.Current,
  deadline: number
): Effect.fn.Return<Chosen, DialError.Reason> {
  let silent: RouteInstances.TargetInstances | undefined
  for (const [index, each] of current.targets.entries()) {
    const { instances, target } = each
    const left = deadline - performance.now()
    const list = yield* Effect.option(
      within(instances.get, index === current.targets.length - 1 ? left : left / 2, () => "silent" as const)
    )
    if (Option.isNone(list)) {
      silent ??= each
      continue
    }
    const endpoints = InstanceChoice.order(list.value, Math.random)
    if (endpoints.length > 0) return { target, endpoints }
  }
  return yield* silent === undefined
    ? RouteInstances.nobody(current)
    : DialError.unheard(
      `the list of instances of ${silent.target.id}`,
      current.route.connectTimeoutMillis,
      silent.instances.freshness().lastError
    )
})

const within = <A, E, E2>(
  self: Effect.Effect<A, E>,
  millis: number,
  orElse: (millis: number) => E2
): Effect.Effect<A, E | E2> =>
  Effect.timeoutOrElse(self, { duration: Math.max(0, millis), orElse: () => Effect.fail(orElse(millis)) })
