/**
 * Connects to services of the mesh: resolver → targets → a healthy instance → mutual TLS with exactly the identity that
 * is expected there.
 *
 * `InstancePicker` picks the instance. A connection keeps it busy until its socket closes; an attempt that does not get through
 * TCP and TLS counts against it. Up to three instances of each target are tried. All attempts share the connect timeout of the chain;
 * while another instance stands by, an attempt may use half of what is left, so that one that does not answer leaves
 * time for the next. A crowd connects in turns: see `Turns`.
 */
import { Context, Effect, Layer, RcMap, Scope } from "effect"
import * as Listening from "../net/Listening.ts"
import * as Tracing from "../observe/Tracing.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as TcpRoute from "../route/TcpRoute.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import type * as Endpoints from "../watch/Endpoints.ts"
import * as Connect from "./Connect.ts"
import * as Destination from "./Destination.ts"
import type * as DestinationStatus from "./DestinationStatus.ts"
import * as DialError from "./DialError.ts"
import * as Resolver from "./Resolver.ts"
import * as TcpUpstream from "./TcpUpstream.ts"
import * as Tunnels from "./tunnel/Tunnels.ts"
import * as Turns from "./Turns.ts"

/** How long a service goes without a connection until its watches end, and with them what is remembered of its instances. */
const idleTimeToLive = "1 minute"

/** A service whose instances are being watched. */
export interface Route {
  /** A new connection, closed with its scope. Waits for targets and instances at most as long as the connect timeout. */
  readonly connect: Effect.Effect<Connect.Connection, DialError.DialError, Scope.Scope>
  /**
   * The same without a scope, for callers that hand it on at once: they have to close it. `tunnels`: through one where there
   * are any.
   */
  readonly acquire: (tunnels: boolean) => Effect.Effect<Connect.Reached, DialError.DialError>
  /** The same at once where a tunnel is open. */
  readonly reach: (tunnels: boolean) => Connect.Reached | Effect.Effect<Connect.Reached, DialError.DialError>
  /** What is known of the way there now. Undefined until the targets have arrived. */
  readonly current: () => Destination.Destination | undefined
  /** The instances, with what is remembered of them. Undefined until the targets have arrived. */
  readonly status: () => ReadonlyArray<DestinationStatus.TargetStatus> | undefined
}

export class MeshDialer extends Context.Service<MeshDialer, {
  /** Watches a service for as long as the scope is open: for callers that dial often. */
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
    const tunnels = yield* Tunnels.Tunnels
    const by = <C extends Connect.Reached>(
      open: (options: Connect.Options) => Effect.Effect<C, DialError.Reason>
    ): TcpUpstream.Open<C> =>
    (target, endpoint, timeoutMillis) =>
      open({ ...Destination.dialling(target, endpoint, contexts.current()), timeoutMillis })

    const ways = new WeakMap<Endpoints.Endpoint, Dialled>()
    const now: TcpUpstream.Now<Connect.Reached> = (target, endpoint) => {
      const material = contexts.current()
      let dialled = ways.get(endpoint)
      if (dialled?.material !== material || dialled.target !== target) {
        ways.set(endpoint, dialled = { material, target, way: Destination.dialling(target, endpoint, material) })
      }
      return tunnels?.now(dialled.way)
    }

    const follow = Effect.fnUntraced(function*(resolver: Resolver.Resolver) {
      const { connect, current, reach, status } = yield* TcpUpstream.make(resolver)
      const turns = yield* Turns.make
      const acquire: Route["acquire"] = (through) =>
        turns.take(connect<Connect.Reached>(by((through ? tunnels?.open : undefined) ?? open)))
      const route: Route = {
        current,
        status,
        acquire,
        reach: (through) => {
          if (!through || tunnels === undefined) return acquire(through)
          const reached = reach(by(tunnels.open), now)
          return Effect.isEffect(reached) ? turns.take(reached) : reached
        },
        connect: Connect.scoped(turns.take(connect(by(open))))
      }
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

/** How an instance is reached, as long as what that depends on stays the same. */
interface Dialled {
  readonly material: SecureContexts.Material
  readonly target: TcpRoute.Target
  readonly way: Tunnels.Way
}

const displayed = (expected: Connect.Options["expected"]): string =>
  "service" in expected ? SpiffeId.display(expected) : expected.map(SpiffeId.display).join(" or ")
