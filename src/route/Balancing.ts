/** How the instances of a target are balanced, as a service-resolver says it. */
import { Option, Schema } from "effect"
import * as LoadBalancer from "../balance/LoadBalancer.ts"
import type * as TcpRoute from "./TcpRoute.ts"
import * as ServiceResolver from "../consul/config/ServiceResolver.ts"

/** Of `LoadBalancer` on the wire. What is not understood is as if it were not there: the requests still go somewhere. */
export const of = (entry: unknown): Pick<TcpRoute.TcpRoute, "balancing"> => {
  const decoded = Schema.decodeUnknownOption(ServiceResolver.LoadBalancer)(entry)
  if (Option.isNone(decoded)) return {}
  const { HashPolicies, LeastRequestConfig, Policy, RingHashConfig } = decoded.value
  const policy = Policy === "random"
    ? LoadBalancer.random
    : Policy === "least_request"
    ? LoadBalancer.leastRequest(LeastRequestConfig?.ChoiceCount || 2)
    : Policy === "ring_hash"
    ? LoadBalancer.ringHash(RingHashConfig?.MinimumRingSize, RingHashConfig?.MaximumRingSize)
    : Policy === "maglev"
    ? LoadBalancer.maglev
    : LoadBalancer.roundRobin
  const hashBy = HashPolicies.flatMap(({ Field, FieldValue, Terminal }) =>
    Field === "header" || Field === "cookie" || Field === "query_parameter"
      ? [{ field: Field, name: FieldValue, terminal: Terminal } as const]
      : []
  )
  return { balancing: { policy, hashBy } }
}
