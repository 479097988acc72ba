/** The instances of a cluster: a `ClusterLoadAssignment`. */
import * as Address from "./Address.ts"
import type * as Fields from "./Fields.ts"
import type * as Endpoints from "../../watch/Endpoints.ts"

export type Instance = Pick<Endpoints.Endpoint, "id" | "address" | "weight" | "unhealthy">

/** Those of the first priority that has a healthy one. */
export const read = (fields: Fields.Fields): ReadonlyArray<Instance> => {
  fields.skip("cluster_name", "policy")
  const priorities = new Map<number, Array<Instance>>()
  for (const locality of fields.many("endpoints")) {
    locality.skip("locality", "load_balancing_weight")
    const priority = locality.number("priority") ?? 0
    const group = priorities.get(priority) ?? []
    priorities.set(priority, group)
    for (const endpoint of locality.many("lb_endpoints")) {
      const found = instance(endpoint)
      if (found !== undefined) group.push(found)
    }
  }
  const groups = [...priorities].toSorted(([a], [b]) => a - b).map(([, group]) => group)
  return unique(groups.find((group) => group.some(({ weight }) => weight > 0)) ?? groups[0] ?? [])
}

const instance = (fields: Fields.Fields): Instance | undefined => {
  fields.skip("metadata")
  const endpoint = fields.one("endpoint")
  // Whom an instance is called does not count: certificates say who it is.
  endpoint?.skip("hostname", "health_check_config")
  const address = Address.read(endpoint?.one("address"))
  const weight = Math.max(0, Math.min(128, fields.number("load_balancing_weight") ?? 1))
  const status = fields.text("health_status")
  if (address === undefined) {
    fields.flaw("it is no address")
    return undefined
  }
  const id = "path" in address ? address.path : `${address.host}:${address.port}`
  return status === "" || status === "UNKNOWN" || status === "HEALTHY" || status === "DEGRADED"
    ? { id, address, weight, ...(weight > 0 ? {} : { unhealthy: "its weight is 0" }) }
    : { id, address, weight: 0, unhealthy: `the control plane says that it is ${status}` }
}

/** Several services may be reached at one address: one that is healthy counts. */
const unique = (instances: ReadonlyArray<Instance>): ReadonlyArray<Instance> => {
  const byId = new Map<string, Instance>()
  for (const each of instances) {
    const known = byId.get(each.id)
    if (known === undefined || (known.weight === 0 && each.weight > 0)) byId.set(each.id, each)
  }
  return [...byId.values()]
}
