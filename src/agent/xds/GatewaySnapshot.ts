/** What the agent knows about one of its mesh gateways. */
import { Duration } from "effect"
import type * as AgentService from "../../consul/AgentService.ts"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import * as GoWeak from "../../consul/GoWeak.ts"
import type * as Snapshot from "../../xds/Snapshot.ts"
import type * as AgentState from "../AgentState.ts"
import * as CatalogStore from "../CatalogStore.ts"
import * as ChainTarget from "../chain/ChainTarget.ts"
import * as EntrySet from "../chain/EntrySet.ts"
import * as ConfigEntries from "../config/ConfigEntries.ts"
import * as LocalServices from "../LocalServices.ts"
import type * as Shared from "./Shared.ts"
import type * as SidecarSnapshot from "./SidecarSnapshot.ts"

export const read = (
  state: AgentState.AgentState,
  shared: Shared.Shared,
  service: AgentService.AgentService
): SidecarSnapshot.Read<Snapshot.MeshGateway> => {
  const { datacenter } = state.settings
  const config = service.Proxy?.Config ?? {}
  const connectTimeoutMillis = number(config["connect_timeout_ms"]) || 5000
  const names = meshServices(state)
  return {
    snapshot: {
      kind: "mesh-gateway",
      proxyId: service.ID,
      datacenter,
      trustDomain: state.roots.trustDomain,
      addresses: addresses(service),
      connectTimeoutMillis,
      services: names.flatMap((name) => targets(state, shared, name, connectTimeoutMillis)),
      datacenters: Object.keys(state.gateways.all()).filter((name) => name !== datacenter).map((name) => ({
        datacenter: name,
        endpoints: shared.gateways(name)
      }))
    },
    waitFor: [{
      datacenter,
      topics: [
        LocalServices.topic(service.ID),
        "services",
        ...state.gateways.topics,
        ...ConfigEntries.topics,
        ...names.map(CatalogStore.connectTopic)
      ]
    }],
    notes: []
  }
}

/** Those that something of the mesh speaks for. */
const meshServices = (state: AgentState.AgentState): ReadonlyArray<string> => {
  const names = new Set<string>()
  for (const { services } of state.catalog.nodes()) {
    for (const service of services.values()) {
      const name = CatalogStore.meshName(service)
      if (name !== undefined && name !== "") names.add(name)
    }
  }
  return [...names].toSorted()
}

/** The service, and each of its subsets. */
const targets = (
  state: AgentState.AgentState,
  shared: Shared.Shared,
  name: string,
  connectTimeoutMillis: number
): ReadonlyArray<Snapshot.GatewayTarget> => {
  const resolver = EntrySet.resolver(state.config.all(), name)
  const millis = resolver?.ConnectTimeout === undefined ? 0 : Duration.toMillis(resolver.ConnectTimeout)
  const key = { service: name, subset: "", datacenter: state.settings.datacenter, peer: "" }
  const whole = ChainTarget.make(key, state.roots.trustDomain)
  const standing = resolver?.Subsets[resolver.DefaultSubset]
  const all: ReadonlyArray<DiscoveryChain.Target> = [
    standing === undefined ? whole : { ...whole, Subset: standing },
    ...Object.entries(resolver?.Subsets ?? {}).map(([subset, said]) => ({
      ...ChainTarget.make({ ...key, subset }, state.roots.trustDomain),
      Subset: said
    }))
  ]
  return all.map((target) => ({
    sni: target.SNI,
    connectTimeoutMillis: millis || connectTimeoutMillis,
    endpoints: shared.instances(target)
  }))
}

/** Where it listens: its own address unless it says otherwise, and by the names that it gives to others. */
const addresses = (service: AgentService.AgentService): Snapshot.MeshGateway["addresses"] => {
  const config = service.Proxy?.Config ?? {}
  const said = config["envoy_mesh_gateway_bind_addresses"] ?? config["envoy_gateway_bind_addresses"]
  const own = config["envoy_mesh_gateway_no_default_bind"] === true ||
      config["envoy_gateway_no_default_bind"] === true
    ? []
    : [{ name: "default", address: service.Address || "0.0.0.0", port: service.Port }]
  const more = typeof said === "object" && said !== null && !Array.isArray(said)
    ? Object.entries(said).flatMap(([name, value]) => {
      const { address, port } = (value ?? {}) as { readonly address?: unknown; readonly port?: unknown }
      return typeof address === "string" && number(port) > 0 ? [{ name, address, port: number(port) }] : []
    })
    : []
  return [...own, ...more]
}

const number = (value: unknown): number =>
  typeof value === "number" || typeof value === "string" ? GoWeak.number(value) ?? 0 : 0
