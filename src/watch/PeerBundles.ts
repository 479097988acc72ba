/**
 * Whom the peers of our cluster trust: the roots that may vouch for callers and instances of theirs, and for nobody else.
 *
 * An agent has them in its list of peerings, as `PeerCAPems`. In real ones of 1.14 these are the roots of the peer's mesh, and follow
 * its rotation. A root counts only if it says itself which trust domain it is of, so that one of another kind lets nobody in.
 *
 * Nobody asks until somebody wants it: most meshes have no peers, and the token needs `peering:read`.
 */
import { Context, Effect, Layer, Result, Scope, Stream, SubscriptionRef } from "effect"
import * as ApiWatch from "../consul/ApiWatch.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as PeeringApi from "../consul/PeeringApi.ts"
import * as Certificate from "../identity/Certificate.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as TrustBundle from "../identity/TrustBundle.ts"
import * as Watched from "./Watched.ts"

/** By our name of the peer. */
export type Bundles = ReadonlyMap<string, TrustBundle.TrustBundle>

const what = "the trust bundles of peers"

const none: Bundles = new Map()

/** Absent: there are no peers. */
export const PeerBundles = Context.Reference<{
  /** Empty until the first answer. */
  readonly bundles: Watched.Watched<Bundles>
  /** Those that have arrived, before anybody has followed a change to them. */
  readonly latest: () => Bundles
  /** From now on they are followed. Returns at once. */
  readonly want: Effect.Effect<void>
}>("effect-mesh/watch/PeerBundles", {
  defaultValue: () => ({ bundles: Watched.constant(what, none), latest: () => none, want: Effect.void })
})

/** Serves what is put into `ref`. */
export const layerFrom = (ref: SubscriptionRef.SubscriptionRef<Bundles>): Layer.Layer<never> =>
  Layer.succeed(PeerBundles, {
    bundles: Watched.fromRef(what, ref),
    latest: () => SubscriptionRef.getUnsafe(ref),
    want: Effect.void
  })

export const layer: Layer.Layer<never, never, ConsulClient.ConsulClient> = Layer.effect(
  PeerBundles,
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    const scope = yield* Effect.scope
    const ref = yield* SubscriptionRef.make(none)
    let isWanted = false
    let watched: Watched.Watched<Bundles> | undefined
    return {
      bundles: Watched.fromRef(what, ref),
      latest: () => watched?.latest() ?? none,
      want: Effect.suspend(() => {
        if (isWanted) return Effect.void
        isWanted = true
        return Effect.flatMap(
          Scope.provide(watch(consul), scope),
          (followed) => {
            watched = followed
            const keep = Stream.runForEach(followed.changes, (bundles) => SubscriptionRef.set(ref, bundles))
            return Effect.asVoid(Effect.forkIn(keep, scope))
          }
        )
      })
    }
  })
)

/** One for each client. */
export const watch = (
  consul: ConsulClient.ConsulClient["Service"]
): Effect.Effect<Watched.Watched<Bundles>, never, Scope.Scope> => {
  const name = "GET /v1/peerings"
  return consul.share(
    name,
    Watched.make(
      { what, watch: "peers", subject: "*" },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "vital",
        request: (api, blocking) => api.peering.list({ query: blocking }),
        decode: (peerings) => Result.succeed(ofPeerings(peerings))
      })
    )
  )
}

/** A peering that has ended vouches for nobody, and neither does one whose roots are of several trust domains, or of none. */
export const ofPeerings = (peerings: ReadonlyArray<PeeringApi.Peering>): Bundles =>
  new Map(
    peerings.flatMap(({ Name, PeerCAPems, State }) => {
      if (State === "DELETING" || State === "TERMINATED") return []
      const bundle = bundleOf(Name, PeerCAPems)
      return bundle === undefined ? [] : [[Name, bundle] as const]
    })
  )

/** Of the peer of this name. Undefined: its roots are of several trust domains, or of none. */
export const bundleOf = (name: string, pems: ReadonlyArray<string>): TrustBundle.TrustBundle | undefined => {
  const roots = pems.flatMap((pem, position) => rootOf(pem, name, position))
  const [first, ...rest] = roots
  return first === undefined || roots.length < pems.length ||
      rest.some(({ trustDomain }) => trustDomain !== first.trustDomain)
    ? undefined
    : { trustDomain: first.trustDomain, roots: [first.root, ...rest.map(({ root }) => root)] }
}

const rootOf = (
  pem: string,
  peer: string,
  position: number
): ReadonlyArray<{ readonly trustDomain: string; readonly root: TrustBundle.Root }> => {
  const certificate = Result.getOrUndefined(Certificate.parse(pem, `a root of the peer ${peer}`))
  if (certificate === undefined || certificate.uris.length !== 1) return []
  const identity = Result.getOrUndefined(SpiffeId.parse(certificate.uris[0]!))
  if (identity?._tag !== "Signing") return []
  return [{
    trustDomain: identity.trustDomain,
    root: {
      id: `${peer}/${position}`,
      name: `of the peer ${peer}`,
      certificate,
      intermediates: [],
      active: position === 0
    }
  }]
}
