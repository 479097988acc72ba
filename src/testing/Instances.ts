/** Instances in the catalog of a mesh for tests, and whether the members call them. */
import { Context, Effect, type Scope } from "effect"
import type * as ConsulClient from "../consul/ConsulClient.ts"
import type * as MeshHttpServer from "../native/MeshHttpServer.ts"
import * as DiscoveryChains from "../watch/DiscoveryChains.ts"
import * as Endpoints from "../watch/Endpoints.ts"
import * as Attempt from "./Attempt.ts"
import type * as Members from "./Members.ts"

/** One instance of a service. */
export interface Instance<Stats = MeshHttpServer.Stats> {
  readonly id: string
  readonly port: number
  readonly stats: () => Stats
  /** It becomes unhealthy, and goes on serving who asks all the same. Returns when no client chooses it any more. */
  readonly takeDown: Effect.Effect<void, Attempt.TestMeshError>
  readonly bringBack: Effect.Effect<void, Attempt.TestMeshError>
}

/** In the catalog for the scope, from when everybody can call it. */
export const register = Effect.fnUntraced(function*<Stats>(
  consul: ConsulClient.ConsulClient["Service"],
  members: Members.Members,
  service: string,
  id: string,
  { port, stats }: { readonly port: number; readonly stats: () => Stats }
): Effect.fn.Return<Instance<Stats>, Attempt.TestMeshError, Scope.Scope> {
  yield* Effect.acquireRelease(
    consul.call("register", (api) =>
      api.agent.registerService({
        query: {},
        payload: { Name: service, ID: id, Port: port, Address: "127.0.0.1", Connect: { Native: true } }
      })).pipe(Attempt.orFail(`register ${id}`)),
    () => Effect.ignore(consul.call("deregister", (api) => api.agent.deregisterService({ params: { id }, query: {} })))
  )
  yield* visible(members, service, id, true)
  const maintenance = (enable: boolean) =>
    Effect.andThen(
      consul.call("maintenance", (api) =>
        api.agent.serviceMaintenance({ params: { id }, query: { enable, reason: "a test" } })).pipe(
          Attempt.orFail(`maintenance of ${id}`)
        ),
      visible(members, service, id, !enable)
    )
  return { id, port, stats, takeDown: maintenance(true), bringBack: maintenance(false) }
}, Attempt.inRealTime)

/** Lets everybody see whether an instance is to be called. */
const visible = ({ joined }: Members.Members, service: string, id: string, healthy: boolean) =>
  Effect.forEach(joined.values(), (member) =>
    Effect.gen(function*() {
      const chain = yield* Context.get(member, DiscoveryChains.DiscoveryChains).watch({ service })
      const { targets } = yield* chain.get
      for (const target of targets) {
        if (target.service !== service) continue
        const endpoints = yield* Context.get(member, Endpoints.Endpoints).watch(target)
        yield* Attempt.heard(
          `${healthy ? "bring" : "take"} ${id} ${healthy ? "up" : "down"}`,
          endpoints.changes,
          (list) => list.some((endpoint) => endpoint.id.endsWith(`/${id}`) && endpoint.weight > 0) === healthy
        )
      }
    }).pipe(Effect.scoped), { concurrency: "unbounded", discard: true }).pipe(Attempt.inRealTime)
