/**
 * The certificate authority of a datacenter that is not the primary: the roots are those of the primary, and leaves are
 * signed by an intermediate that the primary's active root has signed. When another root signs there, a new intermediate
 * comes with it, in one step (`agent/consul/leader_connect_ca.go`, `secondaryUpdateRoots`).
 */
import { type Duration, Effect, Equal, type Scope } from "effect"
import * as ApiError from "../../consul/ApiError.ts"
import type * as ConsulCa from "../../consul/CertificateAuthority.ts"
import * as CaConfiguration from "../CaConfiguration.ts"
import type * as CertificateAuthority from "../CertificateAuthority.ts"
import type * as Roots from "../Roots.ts"
import type * as Store from "../Store.ts"
import * as Replication from "./Replication.ts"

interface Held {
  readonly authority: CertificateAuthority.Authority
  /** The primary's, with what is ours in it. */
  readonly roots: ConsulCa.Roots
}

export const make = Effect.fnUntraced(function*(options: {
  readonly store: Store.Store
  readonly leafTtl: Duration.Duration
  readonly primary: { readonly store: Store.Store; readonly roots: Roots.Roots }
  /** See `Wan`. */
  readonly crossing: Effect.Effect<void>
}): Effect.fn.Return<Roots.Roots, CertificateAuthority.IssueError, Scope.Scope> {
  const { primary, store } = options
  let config = CaConfiguration.initial(options.leafTtl)
  let configIndex = 0
  let serial = 0

  /** What the intermediate adds to the active root; roots that signed before keep what was added then. */
  const shown = (
    roots: ConsulCa.Roots,
    authority: CertificateAuthority.Authority,
    before: ConsulCa.Roots | undefined
  ): ConsulCa.Roots => ({
    ...roots,
    Roots: roots.Roots.map((root) => {
      const { IntermediateCerts, SigningKeyID } = root.Active
        ? { IntermediateCerts: [...root.IntermediateCerts, authority.pem], SigningKeyID: authority.keyId }
        : before?.Roots.find(({ ID }) => ID === root.ID) ?? root
      return { ...root, IntermediateCerts, SigningKeyID }
    })
  })

  const renewed = (before: ConsulCa.Roots | undefined): Effect.Effect<Held, CertificateAuthority.IssueError> =>
    Effect.gen(function*() {
      const { ActiveRootID } = primary.roots.list()
      const authority = yield* primary.roots.makeIntermediate(config.key, config.intermediateTtl)
      const roots = primary.roots.list()
      // Signing takes a moment, in which another root may have come.
      if (roots.ActiveRootID !== ActiveRootID) return yield* renewed(before)
      return { authority, roots: shown(roots, authority, before) }
    })

  let held: Held = yield* renewed(undefined)

  const take = (next: Held) => {
    store.commit(() => {
      held = next
      return [undefined, ["roots"]]
    })
  }
  take(held)
  store.commit((index) => {
    configIndex = index
    return [undefined, ["ca-config"]]
  })

  yield* Replication.follow({
    from: primary.store,
    topics: ["roots"],
    crossing: options.crossing,
    copy: Effect.gen(function*() {
      const roots = primary.roots.list()
      if (roots.ActiveRootID !== held.roots.ActiveRootID) return take(yield* renewed(held.roots))
      const same = shown(roots, held.authority, held.roots)
      if (!Equal.equals(same, held.roots)) take({ authority: held.authority, roots: same })
    }).pipe(Effect.catch((error) => Effect.logError("no intermediate certificate for this datacenter", error)))
  })

  const active = () => held.roots.Roots.find(({ Active }) => Active)

  return {
    trustDomain: primary.roots.trustDomain,
    signer: () => ({
      authority: held.authority,
      intermediates: active()?.IntermediateCerts ?? [held.authority.pem],
      leafTtl: config.leafTtl
    }),
    // Its own count, under an authority of its own.
    nextSerial: () => ++serial,
    list: () => held.roots,
    pem: () => held.roots.Roots.map((root) => root.RootCert + root.IntermediateCerts.join("")).join(""),
    makeIntermediate: primary.roots.makeIntermediate,
    rotate: primary.roots.rotate,
    configuration: () => ({
      Provider: "consul",
      Config: config.shown,
      State: null,
      ForceWithoutCrossSigning: false,
      CreateIndex: 1,
      ModifyIndex: configIndex
    }),
    /** A changed kind of key is one of the intermediate, and no rotation of the root. */
    configure: Effect.fnUntraced(function*(update) {
      const next = yield* Effect.fromResult(CaConfiguration.update(update))
      const before = config.key
      config = next
      store.commit((index) => {
        configIndex = index
        return [undefined, ["ca-config"]]
      })
      if (next.key.type === before.type && next.key.bits === before.bits) return
      take(
        yield* Effect.mapError(
          renewed(held.roots),
          (error) => new ApiError.InternalError({ body: error.message })
        )
      )
    })
  }
})
