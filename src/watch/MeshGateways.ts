/**
 * The mesh gateways of all datacenters: where their traffic goes out and comes in. As the agent's own datacenter knows them,
 * which also has those of one that is out of reach now.
 *
 * Consul offers no other list of them by kind to an HTTP client: their service may have any name.
 */
import { Effect, Result, type Scope } from "effect"
import * as ApiWatch from "../consul/ApiWatch.ts"
import type * as ConsulClient from "../consul/ConsulClient.ts"
import type * as Health from "../consul/Health.ts"
import * as Watched from "./Watched.ts"

/** By datacenter. */
export type MeshGateways = Readonly<Record<string, ReadonlyArray<Health.ServiceEntry>>>

/** One for each client. Needs `service:read` and `node:read` on the gateways: those that the token may not see are missing. */
export const watch = (
  consul: ConsulClient.ConsulClient["Service"]
): Effect.Effect<Watched.Watched<MeshGateways>, never, Scope.Scope> => {
  const name = "GET /v1/internal/federation-states/mesh-gateways"
  return consul.share(
    name,
    Watched.make(
      { what: "the mesh gateways", watch: "gateways", subject: "*" },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "vital",
        request: (api, blocking) => api.internal.meshGateways({ query: blocking }),
        decode: (all) => Result.succeed(all)
      })
    )
  )
}
