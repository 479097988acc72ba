/** Everything that a running agent is made of, for the handlers of its API. */
import { type Duration, Effect, type Scope } from "effect"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Health from "../consul/Health.ts"
import type * as Provider from "./ca/Provider.ts"
import * as CatalogStore from "./CatalogStore.ts"
import * as ConfigEntries from "./config/ConfigEntries.ts"
import type * as Federation from "./federation/Federation.ts"
import * as GatewayDirectory from "./federation/GatewayDirectory.ts"
import * as Replication from "./federation/Replication.ts"
import * as SecondaryRoots from "./federation/SecondaryRoots.ts"
import * as Leaves from "./Leaves.ts"
import * as Peerings from "./peering/Peerings.ts"
import * as LocalServices from "./LocalServices.ts"
import * as PreparedQueries from "./query/PreparedQueries.ts"
import * as Roots from "./Roots.ts"
import * as Store from "./Store.ts"

export interface Settings {
  readonly datacenter: string
  readonly nodeName: string
  readonly nodeId: string
  /** Undefined: what Consul does without one, which is to allow, as ACLs are off. */
  readonly defaultIntentionPolicy: "allow" | "deny" | undefined
  /** Of the primary datacenter: the others have the same. */
  readonly clusterId: string
  readonly leafTtl: Duration.Duration
  readonly enableScriptChecks: boolean
  /** Of the sidecars that get their port here. */
  readonly sidecarPorts: LocalServices.Ports
}

/** A datacenter as the others reach it. */
export interface Member {
  readonly state: AgentState
  /** Its API: past the checks that are made where a request arrives. */
  readonly api: Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    unknown,
    HttpServerRequest.HttpServerRequest | Scope.Scope
  >
}

export interface AgentState {
  readonly settings: Settings
  readonly store: Store.Store
  readonly catalog: CatalogStore.CatalogStore
  readonly services: LocalServices.LocalServices
  readonly config: ConfigEntries.ConfigEntries
  readonly roots: Roots.Roots
  readonly leaves: Leaves.Leaves
  readonly queries: PreparedQueries.PreparedQueries
  /** Where Envoys are told what to do, once somebody listens there. */
  readonly envoys: { port: number | undefined }
  readonly federation: Federation.Federation<Member>
  /** The mesh gateways of all datacenters. */
  readonly gateways: GatewayDirectory.GatewayDirectory
  readonly peerings: Peerings.Peerings
}

/** The version of Consul whose answers these are. */
export const consulVersion = "1.21.4"

/**
 * As an agent that has just elected itself: one node, alive, with the service of the servers. The primary datacenter of the
 * federation is made first.
 */
export const make = Effect.fnUntraced(function*(
  settings: Settings,
  federation: Federation.Federation<Member>,
  network: Peerings.Network
): Effect.fn.Return<AgentState, Provider.ProviderError, Scope.Scope> {
  const store = Store.make()
  const catalog = CatalogStore.make(store)
  const config = ConfigEntries.make({ store, datacenter: settings.datacenter })
  const primary = federation.member(federation.primary)?.state
  const roots = primary === undefined
    ? yield* Roots.make({ store, clusterId: settings.clusterId, leafTtl: settings.leafTtl })
    : yield* SecondaryRoots.make({
      store,
      leafTtl: settings.leafTtl,
      primary,
      crossing: federation.wan.crossing(federation.primary, settings.datacenter)
    })
  const leaves = yield* Leaves.make({ store, roots, datacenter: settings.datacenter })
  const node = settings.nodeName
  catalog.change((transaction) => {
    transaction.putNode(Health.Node.make({
      ID: settings.nodeId,
      Node: node,
      Address: "127.0.0.1",
      Datacenter: settings.datacenter,
      TaggedAddresses: { lan: "127.0.0.1", lan_ipv4: "127.0.0.1", wan: "127.0.0.1", wan_ipv4: "127.0.0.1" },
      Meta: { "consul-network-segment": "", "consul-version": consulVersion }
    }))
    transaction.putCheck(
      node,
      Health.Check.make({
        Node: node,
        CheckID: "serfHealth",
        Name: "Serf Health Status",
        Status: "passing",
        Output: "Agent alive and reachable"
      })
    )
    transaction.putService(
      node,
      Health.NodeService.make({
        ID: "consul",
        Service: "consul",
        Meta: { version: consulVersion },
        Port: 8300
      })
    )
  })
  const services = yield* LocalServices.make({
    store,
    catalog,
    node,
    datacenter: settings.datacenter,
    scripts: settings.enableScriptChecks,
    sidecarPorts: settings.sidecarPorts
  })
  if (primary !== undefined) {
    yield* Replication.follow({
      from: primary.store,
      topics: ConfigEntries.topics,
      crossing: federation.wan.crossing(federation.primary, settings.datacenter),
      copy: Effect.sync(() => config.replicate(primary.config.all()))
    })
  }
  const state: AgentState = {
    settings,
    store,
    catalog,
    services,
    config,
    roots,
    leaves,
    queries: PreparedQueries.make(store),
    envoys: { port: undefined },
    federation,
    gateways: GatewayDirectory.make({ store, catalog, datacenter: settings.datacenter }),
    peerings: yield* Peerings.make({ store, network, self: () => state })
  }
  return state
})
