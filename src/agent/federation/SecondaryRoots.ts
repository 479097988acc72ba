/**
 * The certificate authority of a datacenter that is not the primary: the roots are those of the primary, and leaves are
 * signed by an intermediate that the primary's provider has signed. When something else signs there, a new intermediate
 * comes with it, in one step (`agent/consul/leader_connect_ca.go`, `secondaryUpdateRoots`), and after half of its life another
 * one takes its place.
 */
import { Clock, Duration, Effect, Equal, Schedule, type Scope, Semaphore } from "effect"
import * as ApiError from "../../consul/ApiError.ts"
import type * as ConsulCa from "../../consul/CertificateAuthority.ts"
import * as x509 from "../../identity/x509.ts"
import type * as Keys from "../ca/Keys.ts"
import * as KeyHolder from "../ca/KeyHolder.ts"
import type * as Provider from "../ca/Provider.ts"
import * as Requests from "../ca/Requests.ts"
import * as RootView from "../ca/RootView.ts"
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

/** How long the primary is left alone that could not sign. */
const again = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")]).pipe(Schedule.jittered)

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
  const changing = yield* Semaphore.make(1)
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

  const renewed = (
    before: ConsulCa.Roots | undefined,
    key: Keys.KeyType
  ): Effect.Effect<Held, Provider.ProviderError> =>
    Effect.gen(function*() {
      const signerId = primary.roots.signer().id
      const request = yield* Requests.forAuthority(trustDomain, key)
      const path = yield* primary.roots.signIntermediate(request.csr)
      // Signing takes a moment, in which something else may have come to sign.
      if (primary.roots.signer().id !== signerId) return yield* renewed(before, key)
      const pem = path[0] ?? ""
      const certificate = new x509.X509Certificate(pem)
      const authority = { key, pem, certificate, privateKey: request.keys.privateKey }
      return { signerId, authority, path, roots: shown(primary.roots.list(), authority, before) }
    })

  let held: Held = yield* renewed(undefined, config.key)

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
    copy: changing.withPermit(Effect.gen(function*() {
      if (primary.roots.signer().id !== held.signerId) return take(yield* renewed(held.roots, config.key))
      const same = shown(primary.roots.list(), held.authority, held.roots)
      if (!Equal.equals(same, held.roots)) take({ ...held, roots: same })
    })).pipe(
      Effect.tapError((error) => Effect.logError("no intermediate certificate for this datacenter", error)),
      Effect.retry(again),
      Effect.orDie
    )
  })

  /** Comes again where another one has taken its place meanwhile, or could not. */
  yield* Effect.gen(function*() {
    while (true) {
      const { authority: { pem } } = held
      const { life, renewAt } = RootView.lifeOf(pem)
      const pause = Math.min(life / 10, Duration.toMillis(Duration.hours(1)))
      yield* Effect.sleep(Math.max(pause, renewAt - (yield* Clock.currentTimeMillis)))
      yield* options.crossing
      yield* changing.withPermit(Effect.gen(function*() {
        if (held.authority.pem === pem) take(yield* renewed(held.roots, config.key))
      })).pipe(
        Effect.catch(({ why }) => Effect.logError(`the intermediate of this datacenter is not renewed: ${why}`))
      )
    }
  }).pipe(Effect.forkScoped)

  const configure = Effect.fnUntraced(function*(update: ConsulCa.ConfigurationUpdate) {
    const next = yield* Effect.fromResult(CaConfiguration.update(update, config))
    if (next.provider !== "consul") {
      return yield* new ApiError.InternalError({
        body:
          "Error updating secondary datacenter CA config: only the primary datacenter of the development agent can " +
          `have the provider ${next.provider}`
      })
    }
    const isKept = next.key.type === config.key.type && next.key.bits === config.key.bits
    const other = isKept ? undefined : yield* Effect.mapError(
      renewed(held.roots, next.key),
      (error) => new ApiError.InternalError({ body: error.message })
    )
    config = next
    store.commit((index) => {
      configIndex = index
      return [undefined, ["ca-config"]]
    })
    if (other !== undefined) take(other)
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
    configure: (update) => changing.withPermit(configure(update))
  }
})
