/** How the instances of a target are balanced, as a service-resolver says it. */
import { Duration, Option, Schema } from "effect"
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
  return { balancing: { policy, hashBy: HashPolicies.flatMap(hashBy) } }
}

const hashBy = (
  { CookieConfig, Field, FieldValue: name, SourceIP, Terminal: terminal }: ServiceResolver.HashPolicy
): ReadonlyArray<TcpRoute.HashBy> => {
  if (SourceIP) return [{ field: "source_ip", name: "", terminal }]
  if (Field === "cookie") return [{ field: Field, name, terminal, cookie: madeCookie(CookieConfig) }]
  return Field === "header" || Field === "query_parameter" ? [{ field: Field, name, terminal }] : []
}

/** Without a lifetime, and where it does not end with the session, none is made. */
const madeCookie = (config: ServiceResolver.HashPolicy["CookieConfig"]): TcpRoute.MadeCookie | undefined => {
  if (config === undefined) return undefined
  const seconds = Math.round(Duration.toSeconds(config.TTL ?? Duration.zero))
  return config.Session || seconds > 0
    ? { maxAgeSeconds: config.Session ? undefined : seconds, path: config.Path }
    : undefined
}
