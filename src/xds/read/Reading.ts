/**
 * What the data plane makes of all resources together: the values that an agent would have told one by one.
 *
 *     public listener ──▶ identity, policy, defaults, registration
 *     other listeners ──▶ upstreams, exposed paths ──▶ routes ──▶ clusters ──▶ instances
 */
import { Result } from "effect"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import type * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as MeshDefaults from "../../watch/MeshDefaults.ts"
import type * as PeerBundles from "../../watch/PeerBundles.ts"
import type * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import * as Chain from "./Chain.ts"
import * as Identity from "./Identity.ts"
import * as Instances from "./Instances.ts"
import type * as Listener from "./Listener.ts"
import * as Peers from "./Peers.ts"
import * as Policy from "./Policy.ts"
import * as Registration from "./Registration.ts"
import type * as State from "./State.ts"

export interface Reading {
  readonly identity: Identity.Identity
  /** Whom peers trust, by their trust domain. */
  readonly peers: PeerBundles.Bundles
  readonly policy: Policy.Policy
  readonly defaults: MeshDefaults.Defaults
  readonly registration: ProxyRegistration.Registration
  /** By `keyOf` what is called. */
  readonly chains: ReadonlyMap<string, DiscoveryChain.Chain>
  /** Of a cluster, by its name. */
  readonly instances: (cluster: string) => Instances.Found
  /** Everything that is not understood, and what it closes. */
  readonly flaws: ReadonlyArray<string>
}

/** Of what is called: a service, or a prepared query. */
export const keyOf = (
  { datacenter, peer, query, service }: {
    readonly service: string
    readonly datacenter?: string | undefined
    readonly peer?: string | undefined
    readonly query?: boolean
  }
): string => JSON.stringify([service, datacenter ?? null, peer ?? null, query ?? false])

/** Undefined until there is a public listener with certificates. What has not changed is the same value as before. */
export const make = (proxyId: string): (state: State.State) => Reading | undefined => {
  const instances = Instances.make()
  const bundles = Peers.make()
  const identify = remember(Identity.of)
  let before: { readonly state: State.State; readonly reading: Kept } | undefined
  return (state) => {
    const listener = publicOf(state)
    const identified = listener?.tls === undefined ? undefined : identify(listener.tls)
    const identity = identified === undefined || Result.isFailure(identified)
      ? before?.reading.identity
      : identified.success
    if (listener === undefined || identity === undefined) return before?.reading
    const settled = before !== undefined && before.state.listeners === state.listeners &&
      before.state.clusters === state.clusters && before.state.routes === state.routes &&
      before.state.closed === state.closed
    const shape = settled ? before!.reading : shapeOf(state, listener, identity, proxyId, before?.reading)
    const { trustDomain } = identity.roots
    const peers = bundles(trustDomain, [listener, ...state.clusters.values()])
    const reading: Kept = {
      ...shape,
      identity,
      peers,
      instances: (cluster) => instances(state, cluster, trustDomain, peers),
      flaws: [
        ...[...state.flaws.values()].flat(),
        ...shape.policy.flaws,
        ...(identified !== undefined && Result.isFailure(identified)
          ? [`the certificates of ${listener.name}: ${identified.failure}`]
          : []),
        ...[...state.clusters.keys()].flatMap((name) =>
          name === "local_app" || isAside(state, name) ? [] : instances(state, name, trustDomain, peers).flaw ?? []
        )
      ]
    }
    before = { state, reading }
    return reading
  }
}

type Kept = Reading & Shape

interface Shape extends Pick<Reading, "policy" | "defaults" | "registration" | "chains"> {
  /** What the policy was made of. */
  readonly policyFrom: string
}

const shapeOf = (
  state: State.State,
  listener: Listener.Listener,
  identity: Identity.Identity,
  proxyId: string,
  before: Kept | undefined
): Shape => {
  const own = identity.leaf.identity
  return {
    ...policyOf(state, listener, own, before),
    defaults: same(listener.defaults, before?.defaults),
    registration: same(Registration.of(state, listener, own, proxyId), before?.registration),
    chains: chainsOf(state, own, before)
  }
}

/** Open connections are judged again where it is another one. */
const policyOf = (
  { closed, clusters }: State.State,
  listener: Listener.Listener,
  own: SpiffeId.Service,
  before: Kept | undefined
): Pick<Shape, "policy" | "policyFrom"> => {
  const { jwt, protocol, rbac } = listener
  const keys = jwt === undefined ? [] : [...clusters.values()].filter(({ name }) => name.startsWith("jwks_cluster_"))
  const policyFrom = JSON.stringify([
    closed,
    own,
    protocol,
    rbac,
    jwt,
    keys.map(({ tls }) => [...tls?.authorities ?? []])
  ])
  if (before?.policyFrom === policyFrom) return before
  return { policyFrom, policy: closed ? Policy.closed(own, protocol) : Policy.read(listener, own, clusters) }
}

const publicOf = ({ listeners }: State.State): Listener.Listener | undefined => {
  for (const listener of listeners.values()) if (listener.kind._tag === "Public") return listener
  return undefined
}

/** The application itself, and keys of token providers: nobody calls these in the name of the mesh. */
const isAside = ({ clusters }: State.State, name: string): boolean =>
  name.startsWith("exposed_cluster_") || name.startsWith("jwks_cluster_") ||
  clusters.get(name)?.members._tag === "Others"

const chainsOf = (
  { clusters, listeners, routes }: State.State,
  { datacenter, trustDomain }: SpiffeId.Service,
  before: Reading | undefined
): ReadonlyMap<string, DiscoveryChain.Chain> => {
  const chains = new Map<string, DiscoveryChain.Chain>()
  for (const { kind, protocol, to } of listeners.values()) {
    if (kind._tag !== "Upstream") continue
    const key = keyOf(kind)
    const options = { service: kind.service, protocol, datacenter, trustDomain, clusters }
    const found = to._tag === "Named" ? routes.get(to.name) : to._tag === "Routes" ? to.routes : undefined
    const chain = to._tag === "Cluster"
      ? Chain.ofCluster(to.cluster, options)
      : found === undefined
      ? undefined
      : Chain.ofRoutes(found, options)
    if (chain !== undefined) chains.set(key, same(chain, before?.chains.get(key)))
  }
  return chains
}

/** The one before, where it says the same. */
const same = <A>(value: A, before: A | undefined): A =>
  before !== undefined && JSON.stringify(before) === JSON.stringify(value) ? before : value

const remember = <A, B>(f: (value: A) => B) => {
  let last: { readonly key: string; readonly to: B } | undefined
  return (value: A): B => {
    const key = JSON.stringify(value, (_, each) => each instanceof Map ? [...each] : each)
    if (last === undefined || last.key !== key) last = { key, to: f(value) }
    return last.to
  }
}
