/** What the proxies of an agent have in common: chains and instances are worked out once for all who call a service. */
import { Equal, Result, Schema } from "effect"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import * as Health from "../../consul/Health.ts"
import * as Endpoints from "../../watch/Endpoints.ts"
import type * as AgentState from "../AgentState.ts"
import * as BexprFilter from "../BexprFilter.ts"
import * as CatalogStore from "../CatalogStore.ts"
import type * as Store from "../Store.ts"
import * as GatewayServices from "../GatewayServices.ts"
import * as CompileChain from "../chain/CompileChain.ts"
import type * as EntrySet from "../chain/EntrySet.ts"

export interface Shared {
  /** Fails with what is wrong with the config entries. */
  readonly chain: (
    service: string,
    datacenter: string,
    overrides: DiscoveryChain.Overrides
  ) => Result.Result<DiscoveryChain.Chain, string>
  readonly instances: (target: DiscoveryChain.Target) => ReadonlyArray<Endpoints.Endpoint>
  /** Of a datacenter, as they are reached from this one. */
  readonly gateways: (datacenter: string) => ReadonlyArray<Endpoints.Endpoint>
  /** The list before of this key, where it is equal. */
  readonly same: (key: string, found: ReadonlyArray<Endpoints.Endpoint>) => ReadonlyArray<Endpoints.Endpoint>
}

interface Kept<A> {
  readonly index: number
  readonly value: A
}

export const make = (state: AgentState.AgentState): Shared => {
  const { config, federation, gateways, settings } = state
  let chains = new Map<string, Result.Result<DiscoveryChain.Chain, string>>()
  let chainsBefore: typeof chains = chains
  let entries: EntrySet.EntrySet = config.all()
  const instances = new Map<string, Kept<ReadonlyArray<Endpoints.Endpoint>>>()
  const mates = new Map<string, ReadonlyArray<Endpoints.Endpoint>>()

  const endpointsOf = (
    key: string,
    index: number,
    read: () => ReadonlyArray<Endpoints.Endpoint>
  ): ReadonlyArray<Endpoints.Endpoint> => {
    const known = instances.get(key)
    if (known?.index === index) return known.value
    const value = read()
    const kept = known !== undefined && Equal.equals(known.value, value) ? known.value : value
    instances.set(key, { index, value: kept })
    return kept
  }

  const same: Shared["same"] = (key, found) => {
    const before = mates.get(key)
    const kept = before !== undefined && Equal.equals(before, found) ? before : found
    mates.set(key, kept)
    return kept
  }

  return {
    chain: (service, datacenter, overrides) => {
      if (config.all() !== entries) {
        entries = config.all()
        chainsBefore = chains
        chains = new Map()
      }
      const key = JSON.stringify([service, datacenter, overrides])
      const known = chains.get(key)
      if (known !== undefined) return known
      const compiled = CompileChain.compile({
        service,
        datacenter,
        trustDomain: state.roots.trustDomain,
        entries,
        overrides
      })
      const before = chainsBefore.get(key)
      const kept = before !== undefined && Equal.equals(before, compiled) ? before : compiled
      chains.set(key, kept)
      return kept
    },
    instances: (target) => {
      const { Datacenter, Service, Subset } = target
      const there = Datacenter === settings.datacenter || Datacenter === ""
        ? state
        : federation.member(Datacenter)?.state
      if (there === undefined) return nobody
      const key = JSON.stringify([Datacenter, Service, Subset.Filter, Subset.OnlyPassing])
      return endpointsOf(
        key,
        there.store.indexOf([CatalogStore.connectTopic(Service)]),
        () =>
          there.catalog.instances(Service, true).filter(filterOf(Subset.Filter)).flatMap((entry) =>
            Endpoints.toEndpoint(entry, { onlyPassing: Subset.OnlyPassing }, settings.datacenter)
          )
      )
    },
    gateways: (datacenter) =>
      same(
        `gateways ${datacenter}`,
        (gateways.all()[datacenter] ?? []).flatMap((entry) =>
          Endpoints.toEndpoint(entry, { onlyPassing: false }, settings.datacenter)
        )
      ),
    same
  }
}

/** What the instances of a service depend on. */
export const instanceTopics = (service: string): ReadonlyArray<Store.Topic> => [
  CatalogStore.connectTopic(service),
  ...GatewayServices.linkTopics
]

const nobody: ReadonlyArray<Endpoints.Endpoint> = []

/** A filter that can not be read keeps nobody: the subset would be larger than anybody meant. */
const filterOf = (text: string): (entry: Schema.Schema.Type<typeof Health.ServiceEntry>) => boolean => {
  if (text === "") return () => true
  const compiled = BexprFilter.compile(text, Health.ServiceEntry)
  return Result.isSuccess(compiled) ? compiled.success : () => false
}
