/**
 * The certificate authority of a datacenter that is not the primary: the roots are those of the primary, and leaves are
 * signed by an intermediate that the primary's provider has signed. When something else signs there, a new intermediate
 * comes with it, in one step (`agent/consul/leader_connect_ca.go`, `secondaryUpdateRoots`).
 */
import { type Duration, Effect, Equal, type Scope } from "effect"
import * as ApiError from "../../consul/ApiError.ts"
import type * as ConsulCa from "../../consul/CertificateAuthority.ts"
import * as x509 from "../../identity/x509.ts"
import * as KeyHolder from "../ca/KeyHolder.ts"
import type * as Provider from "../ca/Provider.ts"
import * as Requests from "../ca/Requests.ts"
import * as CaConfiguration from "../CaConfiguration.ts"
import * as CertificateAuthority from "../CertificateAuthority.ts"
import type * as Roots from "../Roots.ts"
import type * as Store from "../Store.ts"
import * as Replication from "./Replication.ts"

interface Held {
  /** What signed it. */
  readonly signerId: string
  readonly authority: CertificateAuthority.Authority
  /** It, and what leads from it to the root: PEM each. */
  readonly path: ReadonlyArray<string>
  /** The primary's, with what is ours in it. */
  readonly roots: ConsulCa.Roots
}

export const make = Effect.fnUntraced(function*(options: {
  readonly store: Store.Store
  readonly leafTtl: Duration.Duration
  readonly primary: { readonly store: Store.Store; readonly roots: Roots.Roots }
  /** See `Wan`. */
  readonly crossing: Effect.Effect<void>
}): Effect.fn.Return<Roots.Roots, Provider.ProviderError, Scope.Scope> {
  const { primary, store } = options
  const { trustDomain } = primary.roots
  let config = CaConfiguration.initial(options.leafTtl)
  let configIndex = 0
  // Its own count, under an authority of its own.
  let serial = 0n
  const mesh: Provider.Mesh = { trustDomain, nextSerial: () => ++serial }

  /** What the intermediate adds to the active root; roots that signed before keep what was added then. */
  const shown = (
    roots: ConsulCa.Roots,
    authority: CertificateAuthority.Authority,
    before: ConsulCa.Roots | undefined
  ): ConsulCa.Roots => ({
    ...roots,
    Roots: roots.Roots.map((root) => {
      const { IntermediateCerts, SigningKeyID } = root.Active
        ? {
          IntermediateCerts: [...root.IntermediateCerts, authority.pem],
          SigningKeyID: CertificateAuthority.signingKeyId(authority.certificate)
        }
        : before?.Roots.find(({ ID }) => ID === root.ID) ?? root
      return { ...root, IntermediateCerts, SigningKeyID }
    })
  })

  const renewed = (before: ConsulCa.Roots | undefined): Effect.Effect<Held, Provider.ProviderError> =>
    Effect.gen(function*() {
      const signerId = primary.roots.signer().id
      const { key } = config
      const request = yield* Requests.forAuthority(trustDomain, key)
      const path = yield* primary.roots.signIntermediate(request.csr)
      // Signing takes a moment, in which something else may have come to sign.
      if (primary.roots.signer().id !== signerId) return yield* renewed(before)
      const pem = path[0] ?? ""
      const certificate = new x509.X509Certificate(pem)
      const authority = { key, pem, certificate, privateKey: request.keys.privateKey }
      return { signerId, authority, path, roots: shown(primary.roots.list(), authority, before) }
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
      if (primary.roots.signer().id !== held.signerId) return take(yield* renewed(held.roots))
      const same = shown(primary.roots.list(), held.authority, held.roots)
      if (!Equal.equals(same, held.roots)) take({ ...held, roots: same })
    }).pipe(Effect.catch((error) => Effect.logError("no intermediate certificate for this datacenter", error)))
  })

  return {
    trustDomain,
    signer: () => {
      const { authority, path, roots, signerId } = held
      const root = roots.Roots.find(({ Active }) => Active)?.RootCert ?? ""
      const { leafTtl } = config
      const { sign } = KeyHolder.make({ mesh, config, signer: authority, path: [...path, root] })
      return {
        id: `${signerId} ${CertificateAuthority.signingKeyId(authority.certificate)}`,
        leafTtl,
        sign: (csr) => Effect.map(sign({ csr, ttl: leafTtl }), (leaf) => leaf + path.join(""))
      }
    },
    list: () => held.roots,
    pem: () => held.roots.Roots.map((root) => root.RootCert + root.IntermediateCerts.join("")).join(""),
    signIntermediate: primary.roots.signIntermediate,
    rotate: primary.roots.rotate,
    configuration: () => ({
      Provider: config.provider,
      Config: config.shown,
      State: null,
      ForceWithoutCrossSigning: false,
      CreateIndex: 1,
      ModifyIndex: configIndex
    }),
    /** A changed kind of key is one of the intermediate, and no rotation of the root. */
    configure: Effect.fnUntraced(function*(update) {
      const next = yield* Effect.fromResult(CaConfiguration.update(update, config))
      if (next.provider !== "consul") {
        return yield* new ApiError.InternalError({
          body:
            "Error updating secondary datacenter CA config: only the primary datacenter of the development agent can " +
            `have the provider ${next.provider}`
        })
      }
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
