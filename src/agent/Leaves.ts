/**
 * The leaf certificates that this agent has handed out, one per service, each kept current by a fiber: renewed at a random
 * point between 60 and 90 percent of its life, and as soon as another root signs.
 *
 * Consul spreads the renewals after a rotation over 30 seconds, to spare its servers. Here the agent is the server.
 */
import { Clock, Duration, Effect, FiberMap, Random, type Scope } from "effect"
import * as ApiError from "../consul/ApiError.ts"
import type * as ConsulCa from "../consul/CertificateAuthority.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as BlockingRead from "./BlockingRead.ts"
import * as CertificateAuthority from "./CertificateAuthority.ts"
import * as Roots from "./Roots.ts"
import type * as Store from "./Store.ts"

export interface Leaves {
  /** The leaf of a service; with an index, the one after it. */
  readonly get: (
    service: string,
    request: BlockingRead.Request
  ) => Effect.Effect<BlockingRead.Answer<ConsulCa.Leaf> & { readonly cached: boolean }, ApiError.InternalError>
}

interface Issued {
  readonly leaf: ConsulCa.Leaf
  readonly signerId: string
}

export const make = Effect.fnUntraced(function*(options: {
  readonly store: Store.Store
  readonly roots: Roots.Roots
  readonly datacenter: string
}): Effect.fn.Return<Leaves, never, Scope.Scope> {
  const { roots, store } = options
  const issued = new Map<string, Issued>()
  const failed = new Map<string, CertificateAuthority.IssueError>()
  const keepers = yield* FiberMap.make<string>()

  const issue = Effect.fnUntraced(function*(service: string) {
    const signer = roots.signer()
    const uri = SpiffeId.format(
      SpiffeId.service({ trustDomain: roots.trustDomain, datacenter: options.datacenter, service })
    )
    const now = yield* Clock.currentTimeMillis
    const leaf = yield* CertificateAuthority.issueLeaf({
      signer: signer.authority,
      uri,
      serial: roots.nextSerial(),
      now,
      ttl: Duration.toMillis(signer.leafTtl)
    })
    store.commit((index) => {
      issued.set(service, {
        signerId: signer.authority.id,
        leaf: {
          SerialNumber: leaf.serial,
          CertPEM: leaf.certificatePem + signer.intermediates.join(""),
          PrivateKeyPEM: leaf.privateKeyPem,
          Service: service,
          ServiceURI: uri,
          ValidAfter: Roots.rfc3339(leaf.notBefore),
          ValidBefore: Roots.rfc3339(leaf.notAfter),
          CreateIndex: index,
          ModifyIndex: index
        }
      })
      return [undefined, [`leaf:${service}`]]
    })
    return { ...leaf, signerId: signer.authority.id }
  })

  /** Issues, waits until it is time again, and so on. */
  const keep = (service: string): Effect.Effect<void> =>
    Effect.gen(function*() {
      const leaf = yield* issue(service)
      const now = yield* Clock.currentTimeMillis
      const renewal = renewAt(leaf.notBefore.getTime(), leaf.notAfter.getTime(), yield* Random.next)
      yield* Effect.timeoutOption(rotated(leaf.signerId), Duration.millis(Math.max(0, renewal - now)))
    }).pipe(
      Effect.forever,
      Effect.catch((error) =>
        Effect.sync(() => {
          failed.set(service, error)
          store.commit(() => [undefined, [`leaf:${service}`]])
        })
      )
    )

  /** Returns when another root signs than `signerId`. */
  const rotated = (signerId: string): Effect.Effect<void> =>
    Effect.suspend(() =>
      roots.signer().authority.id === signerId
        ? Effect.flatMap(store.changed(["roots"], store.indexOf(["roots"])), () => rotated(signerId))
        : Effect.void
    )

  const current = (service: string): Issued | undefined => {
    const found = issued.get(service)
    return found?.signerId === roots.signer().authority.id ? found : undefined
  }

  /** The leaf by the root that signs now: waits for the first one, and for the one after a rotation. */
  const fresh = (service: string): Effect.Effect<Issued, ApiError.InternalError> =>
    Effect.suspend(() => {
      const error = failed.get(service)
      if (error !== undefined) {
        failed.delete(service)
        return Effect.fail(new ApiError.InternalError({ body: error.message }))
      }
      const found = current(service)
      if (found !== undefined) return Effect.succeed(found)
      const topic = [`leaf:${service}`, "roots"] as const
      return Effect.flatMap(store.changed(topic, store.indexOf(topic)), () => fresh(service))
    })

  return {
    get: Effect.fnUntraced(function*(service, request) {
      const cached = issued.has(service)
      yield* FiberMap.run(keepers, service, keep(service), { onlyIfMissing: true })
      const first = yield* fresh(service)
      const answer = yield* BlockingRead.read(store, { ...request, cached: { defaultWait: Duration.minutes(10) } }, {
        topics: [`leaf:${service}`],
        read: () => issued.get(service) ?? first
      })
      return { index: answer.value.leaf.ModifyIndex, value: answer.value.leaf, cached }
    })
  }
})

/**
 * Milliseconds. `share` is in [0, 1): where between 60 and 90 percent of the life. Lives under ten minutes, which Consul renews
 * at once, end their draw at 80 percent: of a few seconds, a tenth is too little for the news to get around.
 */
export const renewAt = (notBefore: number, notAfter: number, share: number): number => {
  const life = notAfter - notBefore
  return Math.round(notBefore + life * (0.6 + (life < 600_000 ? 0.2 : 0.3) * share))
}
