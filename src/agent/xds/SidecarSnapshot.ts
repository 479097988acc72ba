/** What the agent knows about one sidecar, read at one moment. */
import { Duration, Result } from "effect"
import * as GoWeak from "../../consul/GoWeak.ts"
import type * as AgentService from "../../consul/AgentService.ts"
import type * as CertificateAuthority from "../../consul/CertificateAuthority.ts"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import type * as PeeringApi from "../../consul/PeeringApi.ts"
import type * as Proxy from "../../consul/Proxy.ts"
import * as PeerBundles from "../../watch/PeerBundles.ts"
import type * as Snapshot from "../../xds/Snapshot.ts"
import type * as AgentState from "../AgentState.ts"
import * as EntrySet from "../chain/EntrySet.ts"
import * as ConfigEntries from "../config/ConfigEntries.ts"
import * as IntentionView from "../IntentionView.ts"
import * as LocalServices from "../LocalServices.ts"
import * as MergeProxy from "../MergeProxy.ts"
import type * as Store from "../Store.ts"
import * as PeeredUpstream from "./PeeredUpstream.ts"
import * as Shared from "./Shared.ts"
import type * as Stable from "./Stable.ts"

/** What has to change for another one, in this datacenter or in another. */
export interface Topic {
  readonly datacenter: string
  readonly topics: ReadonlyArray<Store.Topic>
}

export interface Read<A> {
  readonly snapshot: A
  readonly waitFor: ReadonlyArray<Topic>
  /** What is left out, in sentences. */
  readonly notes: ReadonlyArray<string>
}

export const read = (
  state: AgentState.AgentState,
  shared: Shared.Shared,
  stable: Stable.Stable,
  service: AgentService.AgentService,
  leaf: CertificateAuthority.Leaf
): Read<Snapshot.Sidecar> => {
  const entries = state.config.all()
  const { datacenter } = state.settings
  const proxy = stable.keep("proxy", [service, entries], () => MergeProxy.mergeProxy(service.Proxy!, entries))
  const name = proxy.DestinationServiceName
  const roots = state.roots.list().Roots.map(({ RootCert }) => RootCert).join("")
  const topics = new Map<string, Set<Store.Topic>>([
    [
      datacenter,
      new Set<Store.Topic>([
        LocalServices.topic(service.ID),
        "roots",
        `leaf:${name}`,
        ...ConfigEntries.topics,
        ...state.peerings.topics
      ])
    ]
  ])
  const notes: Array<string> = []
  const peers = stable.keep("peers", [JSON.stringify(state.peerings.list().map(asKnown))], () => peersOf(state))
  const upstreams = proxy.Upstreams.flatMap((settings, position) => {
    const made = upstream({ state, shared, peers, topics }, settings)
    if (typeof made === "string") {
      notes.push(made)
      return []
    }
    // The same objects as before where nothing about it has changed.
    const { endpoints, settings: own } = made
    const chain = stable.keep(`chain ${position}`, [made.chain], () => made.chain)
    const said = JSON.stringify([...made.identities])
    const identities = stable.keep(`identities ${position}`, [said], () => made.identities)
    return [
      stable.keep(
        `upstream ${position}`,
        [own, chain, identities, ...endpoints.values()],
        () => ({ ...made, chain, identities })
      )
    ]
  })
  return {
    snapshot: {
      kind: "connect-proxy",
      proxyId: service.ID,
      service: name,
      datacenter,
      address: service.Address,
      port: service.Port,
      agentAddress: "127.0.0.1",
      proxy,
      credentials: stable.keep("credentials", [leaf, roots], () => ({
        trustDomain: state.roots.trustDomain,
        certificate: leaf.CertPEM,
        key: leaf.PrivateKeyPEM,
        roots
      })),
      intentions: stable.keep("intentions", [name, entries], () => IntentionView.match(entries, "destination", name)),
      defaultPolicy: state.settings.defaultIntentionPolicy ?? "allow",
      jwtProviders: stable.keep(
        "providers",
        [entries],
        () => new Map(EntrySet.ofKind(entries, "jwt-provider").map((entry) => [entry.Name, entry]))
      ),
      mesh: stable.keep("mesh", [entries], () => EntrySet.mesh(entries)),
      peers,
      upstreams
    },
    waitFor: Array.from(topics, ([datacenter, topics]) => ({ datacenter, topics: [...topics] })),
    notes: [...notes, ...unserved(proxy, entries)]
  }
}

const asKnown = ({ Name, PeerCAPems, State }: PeeringApi.Peering) => [Name, State, ...PeerCAPems]

const peersOf = (state: AgentState.AgentState): Snapshot.Sidecar["peers"] =>
  new Map(
    Array.from(PeerBundles.ofPeerings(state.peerings.list()), ([name, { roots, trustDomain }]) => [
      name,
      { trustDomain, roots: roots.map(({ certificate }) => certificate.pem).join("") }
    ])
  )

/** What would change the configuration of an Envoy, and does not here. */
const unserved = (proxy: Proxy.Proxy, entries: EntrySet.EntrySet): ReadonlyArray<string> => {
  const handwritten = [proxy.Config, ...proxy.Upstreams.map(({ Config }) => Config)].flatMap(Object.entries)
    .filter(([name, value]) => /^envoy_\w*json$/i.test(name) && value !== "").map(([name]) => name)
  const extensions = [EntrySet.proxyDefaults(entries), EntrySet.defaults(entries, proxy.DestinationServiceName)]
    .flatMap((entry) => entry?.EnvoyExtensions ?? [])
  return [
    ...(proxy.Mode === "transparent" ? ["transparent mode: only explicit upstreams have listeners"] : []),
    ...[...new Set(handwritten)].map((name) => `the setting ${name}: it is configuration of Envoy itself`),
    ...extensions.map((extension) => `the Envoy extension ${String(extension["Name"] ?? "without a name")}`)
  ]
}

type Topics = Map<string, Set<Store.Topic>>

interface Sources {
  readonly state: AgentState.AgentState
  readonly shared: Shared.Shared
  readonly peers: Snapshot.Sidecar["peers"]
  readonly topics: Topics
}

/** A text says why there is none. */
const upstream = (sources: Sources, settings: Proxy.Upstream): Snapshot.Upstream | string => {
  const { peers, shared, state } = sources
  const { CentrallyConfigured, DestinationName, DestinationPeer, DestinationType } = settings
  if (DestinationType === "prepared_query") return `the upstream ${DestinationName}: it is a prepared query`
  if (CentrallyConfigured) return `the upstream ${DestinationName}: it has no listener of its own`
  if (DestinationPeer !== "" && !peers.has(DestinationPeer)) {
    return `the upstream ${DestinationName}: no root certificate of the peer ${DestinationPeer} is known`
  }
  const compiled = DestinationPeer === ""
    ? shared.chain(DestinationName, settings.Datacenter || state.settings.datacenter, overridesOf(settings))
    : Result.succeed(PeeredUpstream.chain(state, DestinationName, DestinationPeer, overridesOf(settings)))
  if (Result.isFailure(compiled)) return `the upstream ${DestinationName}: ${compiled.failure}`
  const { chain, found } = PeeredUpstream.withPeers(state, peers, compiled.success)
  return {
    settings,
    chain,
    identities: new Map([...found].map(([id, list]) => [id, PeeredUpstream.identities(list)])),
    endpoints: new Map(
      Object.values(chain.Targets).map((target) => [
        target.ID,
        target.Peer === ""
          ? endpoints(sources, target)
          : shared.same(`peered ${target.Name}`, found.get(target.ID) ?? [])
      ])
    )
  }
}

/** The instances themselves, or the gateways on the way to them. */
const endpoints = (
  { shared, state, topics }: Sources,
  target: DiscoveryChain.Target
): ReturnType<Shared.Shared["instances"]> => {
  const home = state.settings.datacenter
  const there = target.Datacenter || home
  const add = (datacenter: string, more: ReadonlyArray<Store.Topic>) => {
    const known = topics.get(datacenter) ?? new Set()
    topics.set(datacenter, known)
    for (const topic of more) known.add(topic)
  }
  if (there !== home && (target.MeshGateway.Mode === "local" || target.MeshGateway.Mode === "remote")) {
    add(home, state.gateways.topics)
    return shared.gateways(target.MeshGateway.Mode === "local" ? home : there)
  }
  add(there, Shared.instanceTopics(target.Service))
  return shared.instances(target)
}

/** What the caller says over the service itself. */
const overridesOf = ({ Config, MeshGateway }: Proxy.Upstream): DiscoveryChain.Overrides => {
  const timeout = Config["connect_timeout_ms"]
  const millis = typeof timeout === "number" || typeof timeout === "string" ? GoWeak.number(timeout) : undefined
  const protocol = Config["protocol"]
  return {
    ...(millis !== undefined && millis > 0 && { OverrideConnectTimeout: Duration.millis(millis) }),
    ...(typeof protocol === "string" && protocol !== "" && { OverrideProtocol: protocol }),
    ...(MeshGateway.Mode !== "" && { OverrideMeshGateway: { Mode: MeshGateway.Mode } })
  }
}
