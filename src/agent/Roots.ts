/**
 * The roots of the agent's mesh over time: exactly one signs, the ones before it stay trusted until no leaf of theirs can
 * be in use any more.
 */
import { Clock, Duration, Effect, type Scope, Semaphore } from "effect"
import type * as ConsulCa from "../consul/CertificateAuthority.ts"
import * as ApiError from "../consul/ApiError.ts"
import * as CaConfiguration from "./CaConfiguration.ts"
import * as CertificateAuthority from "./CertificateAuthority.ts"
import type * as Store from "./Store.ts"

interface Root {
  readonly authority: CertificateAuthority.Authority
  /** The certificate by which the former root vouches for this one. */
  readonly intermediates: ReadonlyArray<string>
  readonly active: boolean
  readonly createIndex: number
  readonly modifyIndex: number
}

/** What a leaf is signed with. */
export interface Signer {
  readonly authority: CertificateAuthority.Authority
  /** To be sent along with every leaf. */
  readonly intermediates: ReadonlyArray<string>
  readonly leafTtl: Duration.Duration
}

export interface Roots {
  readonly trustDomain: string
  readonly signer: () => Signer
  readonly nextSerial: () => number
  /** As the API shows them. */
  readonly list: () => ConsulCa.Roots
  /** All certificates as one PEM text. */
  readonly pem: () => string
  /** An authority of another datacenter, signed by the root that signs now. */
  readonly makeIntermediate: (
    key: CertificateAuthority.KeyType,
    ttl: Duration.Duration
  ) => Effect.Effect<CertificateAuthority.Authority, CertificateAuthority.IssueError>
  /** Puts a new key of the same kind into service. */
  readonly rotate: (options: { readonly crossSign: boolean }) => Effect.Effect<void, CertificateAuthority.IssueError>
  readonly configuration: () => ConsulCa.Configuration
  /** A changed kind of key rotates the root. */
  readonly configure: (
    update: ConsulCa.ConfigurationUpdate
  ) => Effect.Effect<void, ApiError.BadRequest | ApiError.InternalError>
}

export const make = Effect.fnUntraced(function*(options: {
  readonly store: Store.Store
  readonly clusterId: string
  /** May be shorter than the hour that Consul insists on. */
  readonly leafTtl: Duration.Duration
}): Effect.fn.Return<Roots, CertificateAuthority.IssueError, Scope.Scope> {
  const { store } = options
  const scope = yield* Effect.scope
  const trustDomain = `${options.clusterId}.consul`
  const rotating = yield* Semaphore.make(1)
  // Consul's first root has the serial number of the Raft index that it is stored under.
  let serial = 6
  let config = CaConfiguration.initial(options.leafTtl)
  let configIndex = 0

  const makeAuthority = Effect.gen(function*() {
    return yield* CertificateAuthority.makeRoot({
      trustDomain,
      serial: ++serial,
      key: config.key,
      now: yield* Clock.currentTimeMillis,
      ttl: Duration.toMillis(config.rootTtl)
    })
  })

  const first = yield* makeAuthority
  let roots: ReadonlyArray<Root> = store.commit((index) => {
    configIndex = index
    return [
      [{ authority: first, intermediates: [], active: true, createIndex: index, modifyIndex: index }],
      ["roots", "ca-config"]
    ]
  })

  const active = (): Root => {
    const root = roots.find((root) => root.active)
    if (root === undefined) throw new Error("the agent has no active root certificate")
    return root
  }

  /** Consul drops a rotated root once two leaf lifetimes have passed (`pruneCARoots`). */
  const prune = (id: string) =>
    Effect.sync(() =>
      store.commit(() => {
        roots = roots.filter((root) => root.active || root.authority.id !== id)
        return [undefined, ["roots"]]
      })
    ).pipe(Effect.delay(Duration.times(config.leafTtl, 2)), Effect.forkIn(scope))

  const rotate = (request: { readonly crossSign: boolean }) =>
    rotating.withPermit(Effect.gen(function*() {
      const former = active()
      const authority = yield* makeAuthority
      const intermediates = request.crossSign
        ? [
          yield* CertificateAuthority.crossSign({
            trustDomain,
            signer: former.authority,
            subject: authority,
            serial: ++serial,
            now: yield* Clock.currentTimeMillis
          })
        ]
        : []
      store.commit((index) => {
        roots = [
          ...roots.map((root) => root.active ? { ...root, active: false, modifyIndex: index } : root),
          { authority, intermediates, active: true, createIndex: index, modifyIndex: index }
        ]
        return [undefined, ["roots"]]
      })
      yield* prune(former.authority.id)
    }))

  return {
    trustDomain,
    signer: () => ({ ...active(), leafTtl: config.leafTtl }),
    nextSerial: () => ++serial,
    list: () => ({
      ActiveRootID: active().authority.id,
      TrustDomain: trustDomain,
      Roots: roots.map((root) => describe(root, options.clusterId))
    }),
    pem: () => roots.map((root) => root.authority.pem + root.intermediates.join("")).join(""),
    makeIntermediate: Effect.fnUntraced(function*(key, ttl) {
      return yield* CertificateAuthority.makeIntermediate({
        trustDomain,
        signer: active().authority,
        serial: ++serial,
        key,
        now: yield* Clock.currentTimeMillis,
        ttl: Duration.toMillis(ttl)
      })
    }),
    rotate,
    configuration: () => ({
      Provider: "consul",
      Config: config.shown,
      State: null,
      ForceWithoutCrossSigning: false,
      CreateIndex: 1,
      ModifyIndex: configIndex
    }),
    configure: Effect.fnUntraced(function*(update) {
      const next = yield* Effect.fromResult(CaConfiguration.update(update))
      const before = config.key
      config = next
      store.commit((index) => {
        configIndex = index
        return [undefined, ["ca-config"]]
      })
      if (next.key.type !== before.type || next.key.bits !== before.bits) {
        yield* rotate({ crossSign: update.ForceWithoutCrossSigning !== true }).pipe(
          Effect.mapError((error) => new ApiError.InternalError({ body: error.message }))
        )
      }
    })
  }
})

const describe = (
  { active, authority, createIndex, intermediates, modifyIndex }: Root,
  clusterId: string
): ConsulCa.Root => ({
  ID: authority.id,
  Name: "Consul CA Primary Cert",
  SerialNumber: authority.serial,
  SigningKeyID: authority.keyId,
  ExternalTrustDomain: clusterId,
  NotBefore: rfc3339(authority.notBefore),
  NotAfter: rfc3339(authority.notAfter),
  RootCert: authority.pem,
  IntermediateCerts: intermediates,
  Active: active,
  PrivateKeyType: authority.key.type,
  PrivateKeyBits: authority.key.bits,
  CreateIndex: createIndex,
  ModifyIndex: modifyIndex
})

/** As Go prints it: without fractions of a second. */
export const rfc3339 = (date: Date): string => date.toISOString().replace(/\.\d+Z$/, "Z")
