/**
 * Which service a URL names. Hosts are those of Consul's DNS: `api`, `api.service.consul`, `api.service.dc2.consul`; the
 * word may also be `connect` or `virtual`. Scheme and port do not matter: the mesh has its own of both.
 */
import { Result } from "effect"
import type * as DiscoveryChains from "../watch/DiscoveryChains.ts"

/** Of a host in lower case, without its port. Failures say what is wrong with it. */
export const parse = (host: string): Result.Result<DiscoveryChains.Request, string> => {
  const labels = host.split(".")
  if (labels.some((label) => !/^[a-z0-9_-]+$/i.test(label))) return Result.fail("it is no name of a service")
  const [service, kind, ...rest] = labels
  if (kind === undefined) return Result.succeed({ service: service! })
  if (rest.at(-1) !== "consul" || rest.length > 2) {
    return Result.fail("services are named as in api.service.consul, api.service.dc1.consul, or api alone")
  }
  if (kind === "query") return Result.fail("prepared queries are not supported")
  if (kind !== "service" && kind !== "connect" && kind !== "virtual") {
    return Result.fail("subsets and tags are not supported in names: give the subset a service-resolver of its own")
  }
  return Result.succeed(rest.length === 2 ? { service: service!, datacenter: rest[0]! } : { service: service! })
}
