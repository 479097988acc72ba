/** `service-resolver`. */
import { Duration, Result } from "effect"
import type {
  Failover,
  HashPolicy,
  LoadBalancer,
  Redirect,
  ServiceResolver
} from "../../consul/config/ServiceResolver.ts"
import * as GoDuration from "../../consul/GoDuration.ts"
import * as Bexpr from "../Bexpr.ts"

export const validate = (entry: ServiceResolver): Result.Result<ServiceResolver, string> => {
  const problem = firstProblem(entry)
  return problem === undefined ? Result.succeed(entry) : Result.fail(problem)
}

const firstProblem = (entry: ServiceResolver): string | undefined => {
  if (entry.Name === "") return "Name is required"
  if (entry.PrioritizeByLocality !== undefined) return "Prioritize-by-locality requires Consul Enterprise "
  for (const [name, subset] of Object.entries(entry.Subsets)) {
    if (name === "") return "Subset defined with empty name"
    if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) {
      return `Subset "${name}" is invalid: must be 63 characters or fewer, begin or end with lower case alphanumeric ` +
        `characters, and contain lower case alphanumeric characters or '-' in between`
    }
    // Only the grammar: the selectors are checked when the filter is evaluated.
    const filter = subset.Filter === "" ? undefined : Bexpr.parse(subset.Filter)
    if (filter !== undefined && Result.isFailure(filter)) {
      return `Filter for subset "${name}" is not a valid expression: ${filter.failure.detail}`
    }
  }
  const isSubset = (name: string) => Object.hasOwn(entry.Subsets, name)
  if (entry.DefaultSubset !== "" && !isSubset(entry.DefaultSubset)) {
    return `DefaultSubset "${entry.DefaultSubset}" is not a valid subset`
  }
  if (entry.Redirect !== undefined) {
    if (Object.keys(entry.Failover).length > 0) return "Redirect and Failover cannot both be set"
    const problem = redirect(entry.Redirect)
    if (problem !== undefined) return problem
  }
  for (const [name, failover] of Object.entries(entry.Failover)) {
    if (name !== "*" && !isSubset(name)) return `Bad Failover["${name}"]: not a valid subset subset`
    const problem = failoverProblem(failover, isSubset, entry.Name)
    if (problem !== undefined) return `Bad Failover["${name}"]${problem}`
  }
  for (const field of ["ConnectTimeout", "RequestTimeout"] as const) {
    const value = entry[field]
    if (value !== undefined && Duration.isNegative(value)) {
      return `Bad ${field} '${GoDuration.format(value)}', must be >= 0`
    }
  }
  return entry.LoadBalancer === undefined ? undefined : balancing(entry.LoadBalancer)
}

const redirect = (to: Redirect): string | undefined => {
  if (Object.values(to).every((value) => value === "")) return "Redirect is empty"
  if (to.Namespace !== "" && to.Namespace !== "default") return "Redirect: Setting Namespace requires Consul Enterprise"
  if (to.Partition !== "" && to.Partition !== "default") return "Redirect: Setting Partition requires Consul Enterprise"
  if (to.SamenessGroup !== "") return "Redirect: Setting SamenessGroup requires Consul Enterprise"
  if (to.Peer !== "") {
    if (to.ServiceSubset !== "") return "Redirect.Peer cannot be set with Redirect.ServiceSubset"
    if (to.Partition !== "") return "Redirect.Peer cannot be set with Redirect.Partition"
    if (to.Datacenter !== "") return "Redirect.Peer cannot be set with Redirect.Datacenter"
  }
  if (to.Service === "") {
    for (const field of ["ServiceSubset", "Namespace", "Partition", "Peer"] as const) {
      if (to[field] !== "") return `Redirect.${field} defined without Redirect.Service`
    }
  }
  return undefined
}

/** Begins with what follows `Bad Failover["x"]`. */
const failoverProblem = (
  failover: Failover,
  isSubset: (name: string) => boolean,
  service: string
): string | undefined => {
  if (failover.Policy !== undefined) return ": Setting failover policies requires Consul Enterprise"
  if (failover.SamenessGroup !== "") return ": Setting SamenessGroup requires Consul Enterprise"
  if (failover.Namespace !== "" && failover.Namespace !== "default") {
    return ": Setting Namespace requires Consul Enterprise"
  }
  if (
    failover.Service === "" && failover.ServiceSubset === "" && failover.Namespace === "" &&
    failover.Datacenters.length === 0 && failover.Targets.length === 0
  ) {
    return ": one of Service, ServiceSubset, Namespace, Targets, SamenessGroup, or Datacenters is required"
  }
  if (failover.Targets.length > 0) {
    if (failover.Service !== "") return ": Targets cannot be set with Service"
    if (failover.ServiceSubset !== "") return ": Targets cannot be set with ServiceSubset"
    if (failover.Datacenters.length > 0) return ": Targets cannot be set with Datacenters"
  }
  for (const [index, target] of failover.Targets.entries()) {
    if (target.Peer !== "") {
      for (const field of ["ServiceSubset", "Partition", "Datacenter"] as const) {
        if (target[field] !== "") return `.Targets[${index}]: Peer cannot be set with ${field}`
      }
    }
    if (target.Partition !== "" && target.Datacenter !== "") {
      return `.Targets[${index}]: Partition cannot be set with Datacenter`
    }
    if (target.Namespace !== "" && target.Namespace !== "default") {
      return `.Targets[${index}]: Setting Namespace requires Consul Enterprise`
    }
    if (target.Partition !== "" && target.Partition !== "default") {
      return `.Targets[${index}]: Setting Partition requires Consul Enterprise`
    }
  }
  if (
    failover.ServiceSubset !== "" && (failover.Service === "" || failover.Service === service) &&
    !isSubset(failover.ServiceSubset)
  ) {
    return `: ServiceSubset "${failover.ServiceSubset}" is not a valid subset of "${failover.Service}"`
  }
  return failover.Datacenters.includes("") ? ".Datacenters: found empty datacenter" : undefined
}

const balancing = (balancer: LoadBalancer): string | undefined => {
  const policy = balancer.Policy
  if (!["", "random", "round_robin", "least_request", "ring_hash", "maglev"].includes(policy)) {
    return `Bad LoadBalancer policy: "${policy}" is not supported`
  }
  const incompatible = (field: string) =>
    `Bad LoadBalancer configuration. ${field} specified for incompatible load balancing policy "${policy}"`
  if (policy !== "ring_hash" && balancer.RingHashConfig !== undefined) return incompatible("RingHashConfig")
  if (policy !== "least_request" && balancer.LeastRequestConfig !== undefined) return incompatible("LeastRequestConfig")
  if (policy !== "ring_hash" && policy !== "maglev" && balancer.HashPolicies.length > 0) {
    return `Bad LoadBalancer configuration: HashPolicies specified for non-hash-based Policy: "${policy}"`
  }
  for (const [index, hash] of balancer.HashPolicies.entries()) {
    const problem = hashing(hash)
    if (problem !== undefined) return `Bad LoadBalancer HashPolicy[${index}]: ${problem}`
  }
  return undefined
}

const hashing = (hash: HashPolicy): string | undefined => {
  if (hash.Field !== "" && !["header", "cookie", "query_parameter"].includes(hash.Field)) {
    return `"${hash.Field}" is not a supported field`
  }
  if (hash.SourceIP && hash.Field !== "") {
    return `A single hash policy cannot hash both a source address and a "${hash.Field}"`
  }
  if (hash.Field !== "" && hash.FieldValue === "") return `Field "${hash.Field}" was specified without a FieldValue`
  if (hash.FieldValue !== "" && hash.Field === "") return "FieldValue requires a Field to apply to"
  const cookie = hash.CookieConfig
  if (cookie === undefined) return undefined
  if (hash.Field !== "cookie") return `cookie_config provided for "${hash.Field}"`
  return cookie.Session && cookie.TTL !== undefined && !Duration.isZero(cookie.TTL)
    ? "a session cookie cannot have an associated TTL"
    : undefined
}
