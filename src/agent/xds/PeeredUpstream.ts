/** Services of peers, as what calls them: the chain that nobody has compiled, and the gateways that the peer shows of each. */
import * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import { Duration } from "effect"
import * as Endpoints from "../../watch/Endpoints.ts"
import * as PeeredChain from "../../watch/PeeredChain.ts"
import * as Names from "../../xds/translate/Names.ts"
import type * as Snapshot from "../../xds/Snapshot.ts"
import type * as AgentState from "../AgentState.ts"
import * as CatalogStore from "../CatalogStore.ts"

export const chain = (
  state: AgentState.AgentState,
  service: string,
  peer: string,
  { OverrideConnectTimeout, OverrideProtocol }: DiscoveryChain.Overrides
): DiscoveryChain.Chain => {
  const connectTimeoutMillis = OverrideConnectTimeout === undefined
    ? undefined
    : Duration.toMillis(OverrideConnectTimeout)
  const made = PeeredChain.of({ service, peer, connectTimeoutMillis }, shown(state, peer, service))
  return { ...made, Default: true, Datacenter: peer, Protocol: OverrideProtocol || made.Protocol }
}

type Found = ReadonlyMap<string, ReadonlyArray<Endpoints.Endpoint>>

/** The chain, whose targets in peers have names, and what was found of these. Those of which nobody is known are left out. */
export const withPeers = (
  state: AgentState.AgentState,
  peers: Snapshot.Sidecar["peers"],
  chain: DiscoveryChain.Chain
): { readonly chain: DiscoveryChain.Chain; readonly found: Found } => {
  const all = Object.values(chain.Targets)
  if (all.every(({ Peer }) => Peer === "")) return { chain, found: new Map() }
  const found = new Map<string, ReadonlyArray<Endpoints.Endpoint>>()
  const targets = all.flatMap((target) => {
    if (target.Peer === "") return [target]
    const bundle = peers.get(target.Peer)
    const list = shown(state, target.Peer, target.Service).flatMap((entry) =>
      Endpoints.toPeered(entry, state.settings.datacenter)
    )
    const [first] = list
    if (bundle === undefined || first === undefined) return []
    found.set(target.ID, list)
    return [{ ...target, Name: Names.ofPeered(target, bundle.trustDomain), SNI: first.sni ?? "" }]
  })
  return { chain: { ...chain, Targets: Object.fromEntries(targets.map((target) => [target.ID, target])) }, found }
}

/** As URIs. */
export const identities = (found: ReadonlyArray<Endpoints.Endpoint>): ReadonlyArray<string> => [
  ...new Set(
    found.flatMap(({ expected }) => expected ?? []).map((of) =>
      SpiffeId.format(SpiffeId.service({ ...of, trustDomain: of.trustDomain ?? "", datacenter: of.datacenter ?? "" }))
    )
  )
]

const shown = ({ peerings }: AgentState.AgentState, peer: string, service: string) =>
  CatalogStore.ofService(peerings.imported(peer), service, true)
