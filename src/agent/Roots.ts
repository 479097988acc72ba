/**
 * The roots of the agent's mesh over time, and the provider that signs for it: exactly one root is active, the ones before it
 * stay trusted until no leaf under them can be in use any more.
 *
 *   configure, rotate → Provider → cross-signed by the one before → Store.commit → leaves are issued again
 */
import { Clock, Duration, Effect, Equal, Exit, Scope, Semaphore } from "effect"
import type * as ConsulCa from "../consul/CertificateAuthority.ts"
import * as ApiError from "../consul/ApiError.ts"
import * as Provider from "./ca/Provider.ts"
import * as Providers from "./ca/Providers.ts"
import * as RootView from "./ca/RootView.ts"
import * as CaConfiguration from "./CaConfiguration.ts"
import type * as Store from "./Store.ts"

/** What signs leaves now. */
export interface Signer {
  /** Another one: leaves are to be issued again. */
  readonly id: string
  readonly leafTtl: Duration.Duration
  /** A leaf for a request, PEM, and all that has to be sent along with it. */
  readonly sign: (csr: string) => Effect.Effect<string, Provider.ProviderError>
}

export interface Roots {
  readonly trustDomain: string
  readonly signer: () => Signer
  /** As the API shows them. */
  readonly list: () => ConsulCa.Roots
  /** All certificates as one PEM text. */
  readonly pem: () => string
  /** An authority of another datacenter, then what leads from it to the root: PEM each. */
  readonly signIntermediate: (csr: string) => Effect.Effect<ReadonlyArray<string>, Provider.ProviderError>
  /** Another key signs, and where the provider has made a root for it, another root. */
  readonly rotate: (options: { readonly crossSign: boolean }) => Effect.Effect<void, Provider.ProviderError>
  readonly configuration: () => ConsulCa.Configuration
  /** Another provider, or kind of key, rotates the root. */
  readonly configure: (
    update: ConsulCa.ConfigurationUpdate
  ) => Effect.Effect<void, ApiError.BadRequest | ApiError.InternalError>
}

/** A provider, and how long what it holds lives. */
interface Current {
  readonly provider: Provider.Provider
  readonly scope: Scope.Closeable
}

export const make = Effect.fnUntraced(function*(options: {
  readonly store: Store.Store
  readonly clusterId: string
  /** May be shorter than the hour that Consul insists on. */
  readonly leafTtl: Duration.Duration
}): Effect.fn.Return<Roots, Provider.ProviderError, Scope.Scope> {
  const { clusterId, store } = options
  const scope = yield* Effect.scope
  // Consul's first root has the serial number of the Raft index that it is stored under.
  let serial = 6n
  const mesh: Provider.Mesh = { trustDomain: `${clusterId}.consul`, nextSerial: () => ++serial }
  const changing = yield* Semaphore.make(1)

  /** In a scope of its own, which is closed where nothing comes of it. */
  const opened = <E>(make: Effect.Effect<Provider.Provider, E, Scope.Scope>): Effect.Effect<Current, E> =>
    Effect.flatMap(Scope.fork(scope), (own) =>
      Scope.provide(make, own).pipe(
        Effect.map((provider) => ({ provider, scope: own })),
        Effect.onError((cause) => Scope.close(own, Exit.failCause(cause)))
      ))

  let config = CaConfiguration.initial(options.leafTtl)
  let configIndex = 0
  let current = yield* opened(Providers.make(mesh, config))
  let roots: ReadonlyArray<RootView.Kept> = store.commit((index) => {
    configIndex = index
    return [[RootView.make(current.provider, [], index)], ["roots", "ca-config"]]
  })

  const active = (): RootView.Kept => {
    const root = roots.find((root) => root.active)
    if (root === undefined) throw new Error("the agent has no active root certificate")
    return root
  }

  /** Consul drops a rotated root once two leaf lifetimes have passed (`pruneCARoots`). */
  const prune = (id: string, rotatedAt: number, leafTtl: Duration.Duration) =>
    Effect.sync(() =>
      store.commit(() => {
        // It may have been active again meanwhile.
        roots = roots.filter((root) => root.active || root.id !== id || root.modifyIndex !== rotatedAt)
        return [undefined, ["roots"]]
      })
    ).pipe(Effect.delay(Duration.times(leafTtl, 2)), Effect.forkIn(scope))

  /** What signs leaves is renewed after half of its life, where it is not the root (`runRenewIntermediate`). */
  const renewLater = (provider: Provider.Provider): Effect.Effect<void> =>
    Effect.gen(function*() {
      const [signer] = provider.authorities
      if (signer === undefined) return
      const { life, renewAt } = RootView.lifeOf(signer)
      // Rotating may bring nothing new.
      const pause = Math.min(life / 10, Duration.toMillis(Duration.hours(1)))
      yield* Effect.sleep(Math.max(pause, renewAt - (yield* Clock.currentTimeMillis)))
      while (current.provider === provider) {
        yield* Effect.catch(
          rotate({ crossSign: true }),
          ({ why }) => Effect.logError(`what signs leaf certificates is not renewed: ${why}`)
        )
        yield* Effect.sleep(pause)
      }
    })

  /** Makes `next` sign. Its root, where it is another one, is vouched for by the former one first. */
  const install = Effect.fnUntraced(function*(
    next: Current,
    change: { readonly crossSign: boolean; readonly config: CaConfiguration.CaConfiguration }
  ) {
    const before = current
    const former = active()
    const same = RootView.idOf(next.provider.root) === former.id
    const crossed = same
      ? former.crossed
      : !change.crossSign
      ? []
      : before.provider.crossSign === undefined
      ? yield* new Provider.ProviderError({ why: noCrossSigning })
      : yield* before.provider.crossSign(next.provider.root)
    const leafTtl = Duration.max(config.leafTtl, change.config.leafTtl)
    yield* Effect.uninterruptible(Effect.gen(function*() {
      const isKept = same && Equal.equals(next.provider.authorities, former.authorities)
      const isConfigured = change.config !== config
      const apply = (index: number) => {
        current = next
        config = change.config
        if (isConfigured) configIndex = index
        if (isKept) return
        const view = RootView.make(next.provider, crossed, index)
        const others = roots.filter(({ active, id }) => !active && id !== view.id)
        roots = same
          ? [...others, { ...view, createIndex: former.createIndex }]
          : [...others, { ...former, active: false, modifyIndex: index }, view]
      }
      const topics: ReadonlyArray<Store.Topic> = [
        ...(isKept ? [] : ["roots"] as const),
        ...(isConfigured ? ["ca-config"] as const : [])
      ]
      const rotatedAt = topics.length === 0 ? store.index() : store.commit((index) => {
        apply(index)
        return [index, topics]
      })
      if (topics.length === 0) apply(rotatedAt)
      yield* Effect.forkIn(renewLater(next.provider), scope)
      if (!same) yield* prune(former.id, rotatedAt, leafTtl)
      if (next.scope !== before.scope) yield* Scope.close(before.scope, Exit.void)
    }))
  })

  const rotate = (request: { readonly crossSign: boolean }): Effect.Effect<void, Provider.ProviderError> =>
    changing.withPermit(Effect.gen(function*() {
      const provider = yield* current.provider.rotate
      yield* install({ provider, scope: current.scope }, { ...request, config })
    }))

  const configure = Effect.fnUntraced(function*(update: ConsulCa.ConfigurationUpdate) {
    const next = yield* Effect.fromResult(CaConfiguration.update(update, config))
    if (next.provider === config.provider && Equal.equals(next.shown, config.shown)) return
    const failed = (prefix: string) => ({ why }: Provider.ProviderError) =>
      new ApiError.InternalError({ body: `${prefix}${why}` })
    const made = yield* Effect.mapError(
      opened(
        next.provider === config.provider ? current.provider.configure(next) : Providers.make(mesh, next)
      ),
      failed("error configuring provider: ")
    )
    yield* install(made, { crossSign: update.ForceWithoutCrossSigning !== true, config: next }).pipe(
      Effect.onError((cause) => Scope.close(made.scope, Exit.failCause(cause))),
      Effect.mapError(failed(""))
    )
  })

  return {
    trustDomain: mesh.trustDomain,
    signer: () => {
      const { provider } = current
      const root = active()
      return {
        id: `${root.id} ${root.signingKeyId}`,
        leafTtl: config.leafTtl,
        sign: (csr) =>
          Effect.map(
            provider.sign({ csr, ttl: config.leafTtl }),
            (leaf) => leaf + provider.authorities.join("") + root.crossed.join("")
          )
      }
    },
    list: () => ({
      ActiveRootID: active().id,
      TrustDomain: mesh.trustDomain,
      Roots: roots.map((root) => RootView.shown(root, clusterId))
    }),
    pem: () => roots.map((root) => root.pem + RootView.intermediates(root).join("")).join(""),
    signIntermediate: (csr) =>
      Effect.suspend(() =>
        Effect.map(current.provider.signIntermediate(csr), (path) => [...path, ...active().crossed])
      ),
    rotate,
    configuration: () => ({
      Provider: config.provider,
      Config: config.shown,
      State: null,
      ForceWithoutCrossSigning: false,
      CreateIndex: 1,
      ModifyIndex: configIndex
    }),
    configure: (update) => changing.withPermit(configure(update))
  }
})

/** Consul's words. */
const noCrossSigning =
  "The current CA Provider does not support cross-signing. You can try again with ForceWithoutCrossSigningSet but this " +
  "may cause disruption - see documentation for more."
