/** Instances of a cluster, with their health: those that must not be asked are told too, and stand last in nobody's way. */
import type * as Endpoints from "../../watch/Endpoints.ts"
import type { Message } from "../proto/Messages.ts"
import * as Values from "./Values.ts"

export const make = (
  cluster: string,
  endpoints: ReadonlyArray<Endpoints.Endpoint>
): Message<"endpoint.ClusterLoadAssignment"> => ({
  cluster_name: cluster,
  endpoints: [{
    lb_endpoints: endpoints.map(({ address, weight }) => ({
      endpoint: { address: Values.addressOf(address) },
      health_status: weight > 0 ? "HEALTHY" : "UNHEALTHY",
      load_balancing_weight: Math.max(1, weight)
    }))
  }]
})

/** Of a cluster that does not change. */
export const fixed = (
  cluster: string,
  address: Message<"core.Address">
): Message<"endpoint.ClusterLoadAssignment"> => ({
  cluster_name: cluster,
  endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }]
})
