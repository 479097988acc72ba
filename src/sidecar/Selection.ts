/** Which of the sidecars that are registered at an agent a process serves. Pure. */
import * as NodeProxies from "../watch/NodeProxies.ts"

/** Every sidecar of the agent, or those of the services with these IDs. */
export type Wanted = "node" | ReadonlyArray<string>

/** A service that is named and can not be served, and what to do about it. */
export interface Missing {
  readonly name: string
  readonly why: string
}

export interface Selection {
  readonly chosen: ReadonlyArray<NodeProxies.NodeProxy>
  readonly missing: ReadonlyArray<Missing>
}

/** `serving`: IDs of the sidecars that are served now. Where a service has got several, the one that is served stays. */
export const select = (
  wanted: Wanted,
  proxies: ReadonlyArray<NodeProxies.NodeProxy>,
  serving: ReadonlySet<string>,
  address: string
): Selection => {
  if (wanted === "node") return { chosen: proxies, missing: [] }
  const chosen: Array<NodeProxies.NodeProxy> = []
  const missing: Array<Missing> = []
  for (const name of wanted) {
    const candidates = NodeProxies.of(proxies, name)
    const served = candidates.length === 1 ? candidates[0] : candidates.find(({ proxyId }) => serving.has(proxyId))
    if (served !== undefined) chosen.push(served)
    else {
      missing.push({
        name,
        why: candidates.length === 0
          ? `${notRegistered(name, address)}. It is served as soon as it is there`
          : `${several(name, candidates)}. Until then none of them is served`
      })
    }
  }
  return { chosen, missing }
}

export const notRegistered = (serviceId: string, address: string): string =>
  `no sidecar is registered for a service with the ID ${serviceId} on ${address}, or the token may not ` +
  "see it: register the service with \"connect\": { \"sidecar_service\": {} }, on this agent. Where ACLs are on, " +
  `give a token (--token-file, CONSUL_HTTP_TOKEN) with service:write on ${serviceId} and service:read on ` +
  `${serviceId}-sidecar-proxy, or with the service identity ${serviceId}, which has both`

export const several = (serviceId: string, candidates: ReadonlyArray<NodeProxies.NodeProxy>): string =>
  `several proxies are registered for ${serviceId}: choose one with --proxy-id, of ${
    candidates.map(({ proxyId }) => proxyId).join(", ")
  }`

export const nothingRegistered = (address: string): string =>
  `no sidecar is registered on ${address}, or the token may not see any: register services with "connect": ` +
  "{ \"sidecar_service\": {} }, on this agent. Where ACLs are on, give a token with service:write on these services and " +
  "service:read on their sidecars"
