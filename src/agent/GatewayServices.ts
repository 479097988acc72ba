/**
 * Which gateways are the way to which services, as `terminating-gateway` entries say. A `*` stands for every service that is not in
 * the mesh by itself; what is named is not meant by it.
 */
import * as Catalog from "../consul/Catalog.ts"
import * as TerminatingGateway from "../consul/config/TerminatingGateway.ts"
import type { StoredEntry } from "../consul/config/StoredEntry.ts"
import type * as Health from "../consul/Health.ts"
import type * as CatalogStore from "./CatalogStore.ts"
import type * as ConfigEntries from "./config/ConfigEntries.ts"
import type * as Store from "./Store.ts"

interface State {
  readonly catalog: CatalogStore.CatalogStore
  readonly config: ConfigEntries.ConfigEntries
}

/** What lists of services depend on. */
export const topics: ReadonlyArray<Store.Topic> = ["config", "services"]

/** What lists of gateways depend on. */
export const linkTopics: ReadonlyArray<Store.Topic> = ["links"]

/** Of the gateways of this name, by service. */
export const ofGateway = (state: State, gateway: string): ReadonlyArray<Catalog.GatewayService> => {
  const entry = state.config.get("terminating-gateway", gateway)
  return entry === undefined || !isTerminating(entry) ? [] : linksOf(state, entry)
}

/** The gateways that are the way to a service. */
export const instances = (state: State, service: string): ReadonlyArray<Health.ServiceEntry> => {
  const gateways = state.config.list("terminating-gateway").filter(isTerminating).filter((entry) =>
    linksOf(state, entry).some(({ Service }) => Service.Name.toLowerCase() === service.toLowerCase())
  )
  return gateways.length === 0 ?
    [] :
    state.catalog.ofKind("terminating-gateway").filter(({ Service }) =>
      gateways.some(({ Name }) => Name.toLowerCase() === Service.Service.toLowerCase())
    )
}

const isTerminating = (entry: StoredEntry): entry is TerminatingGateway.TerminatingGateway =>
  entry.Kind === "terminating-gateway"

const linksOf = (state: State, entry: TerminatingGateway.TerminatingGateway): ReadonlyArray<Catalog.GatewayService> => {
  const named = entry.Services.filter(({ Name }) => Name !== "*")
  const every = entry.Services.find(({ Name }) => Name === "*")
  const known = new Set(named.map(({ Name }) => Name))
  const others = every === undefined
    ? []
    : outside(state).filter((name) => !known.has(name)).map((Name) => ({ ...every, Name }))
  const link = (service: TerminatingGateway.LinkedService, FromWildcard: boolean) =>
    Catalog.GatewayService.make({
      Gateway: Catalog.CompoundName.make({ Name: entry.Name }),
      Service: Catalog.CompoundName.make({ Name: service.Name }),
      GatewayKind: "terminating-gateway",
      CAFile: service.CAFile,
      CertFile: service.CertFile,
      KeyFile: service.KeyFile,
      SNI: service.SNI,
      FromWildcard,
      DisableAutoHostRewrite: service.DisableAutoHostRewrite,
      CreateIndex: entry.CreateIndex ?? 0,
      ModifyIndex: entry.ModifyIndex ?? 0
    })
  return [...named.map((service) => link(service, false)), ...others.map((service) => link(service, true))]
    .toSorted((a, b) => a.Service.Name < b.Service.Name ? -1 : 1)
}

/** Services without a sidecar and without an integration; the servers are none. */
const outside = ({ catalog }: State): ReadonlyArray<string> => {
  const names = new Set<string>()
  for (const { services } of catalog.nodes()) {
    for (const { Connect, Kind, Service } of services.values()) {
      if (Kind === "" && !Connect.Native && Service !== "consul") names.add(Service)
    }
  }
  return [...names].filter((name) => catalog.instances(name, true).length === 0)
}
