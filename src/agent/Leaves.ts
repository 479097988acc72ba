/**
 * The leaf certificates that this agent has handed out, one per service, each kept current by a fiber: renewed at a random
 * point between 60 and 90 percent of its life, and as soon as another root signs. A leaf without a reader for two of its
 * lives is forgotten.
 *
 * Consul spreads the renewals after a rotation over 30 seconds, to spare its servers. Here the agent is the server.
 */
import { Clock, Duration, Effect, FiberSet, Random, type Scope } from "effect"
import * as ApiError from "../consul/ApiError.ts"
import type * as ConsulCa from "../consul/CertificateAuthority.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as BlockingRead from "./BlockingRead.ts"
import * as CertificateAuthority from "./CertificateAuthority.ts"
import * as Roots from "./Roots.ts"
import type * as Store from "./Store.ts"

export interface Leaves {
  /** The leaf of a service; with an index, the one after it. Fails for a name that can be no segment of an identity. */
  readonly get: (
    service: string,
    request: BlockingRead.Request
  ) => Effect.Effect<BlockingRead.Answer<ConsulCa.Leaf> & { readonly cached: boolean }, ApiError.InternalError>
}

interface Issued {
  readonly leaf: ConsulCa.Leaf
  readonly signerId: string
}

/** The leaf of one service: from the first reader until there are none, or until its renewal fails. */
interface Kept {
  issued?: Issued
  failed?: CertificateAuthority.IssueError
  readers: number
  /** Milliseconds of the epoch: when a reader came or went. */
  lastRead: number
}

/** How many lives of its leaf a service is remembered without readers. */
const unreadLives = 2

export const make = Effect.fnUntraced(function*(options: {
  readonly store: Store.Store
  readonly roots: Roots.Roots
  readonly datacenter: string
}): Effect.fn.Return<Leaves, never, Scope.Scope> {
  const { roots, store } = options
  const all = new Map<string, Kept>()
  const fork = yield* FiberSet.makeRuntime()

  const uriOf = (service: string) =>
    SpiffeId.format(SpiffeId.service({ trustDomain: roots.trustDomain, datacenter: options.datacenter, service }))

  const issue = Effect.fnUntraced(function*(service: string, kept: Kept) {
    const signer = roots.signer()
    const uri = uriOf(service)
    const leaf = yield* CertificateAuthority.issueLeaf({
      signer: signer.authority,
      uri,
      serial: roots.nextSerial(),
      now: yield* Clock.currentTimeMillis,
      ttl: Duration.toMillis(signer.leafTtl)
    })
    store.commit((index) => {
      kept.issued = { signerId: signer.authority.id, leaf: shown(leaf, signer, service, uri, index) }
      return [undefined, [`leaf:${service}`]]
    })
    return { notBefore: leaf.notBefore.getTime(), notAfter: leaf.notAfter.getTime(), signerId: signer.authority.id }
  })

  /** Issues, waits until it is time again, and so on while there are readers. */
  const keep = (service: string, kept: Kept): Effect.Effect<void> =>
    Effect.gen(function*() {
      while (true) {
        const { notAfter, notBefore, signerId } = yield* issue(service, kept)
        const renewal = renewAt(notBefore, notAfter, yield* Random.next)
        const now = yield* Clock.currentTimeMillis
        yield* Effect.timeoutOption(rotated(signerId), Duration.millis(Math.max(0, renewal - now)))
        const unread = (yield* Clock.currentTimeMillis) - kept.lastRead
        if (kept.readers === 0 && unread >= unreadLives * (notAfter - notBefore)) {
          all.delete(service)
          return store.forget(`leaf:${service}`)
        }
      }
    }).pipe(
      Effect.catch((error) =>
        Effect.sync(() => {
          kept.failed = error
          all.delete(service)
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

  /** The leaf by the root that signs now: waits for the first one, and for the one after a rotation. */
  const fresh = (service: string, kept: Kept): Effect.Effect<Issued, ApiError.InternalError> =>
    Effect.suspend(() => {
      if (kept.failed !== undefined) return Effect.fail(new ApiError.InternalError({ body: kept.failed.message }))
      if (kept.issued?.signerId === roots.signer().authority.id) return Effect.succeed(kept.issued)
      const topic = [`leaf:${service}`, "roots"] as const
      return Effect.flatMap(store.changed(topic, store.indexOf(topic)), () => fresh(service, kept))
    })

  const enter = (service: string) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      let kept = all.get(service)
      if (kept === undefined) {
        kept = { readers: 0, lastRead: now }
        all.set(service, kept)
        fork(keep(service, kept))
      }
      kept.readers++
      kept.lastRead = now
      return kept
    })

  const leave = (kept: Kept) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      kept.readers--
      kept.lastRead = now
    })

  const read = Effect.fnUntraced(function*(service: string, request: BlockingRead.Request, kept: Kept) {
    const cached = kept.issued !== undefined
    const first = yield* fresh(service, kept)
    const answer = yield* BlockingRead.read(store, { ...request, cached: { defaultWait: Duration.minutes(10) } }, {
      topics: [`leaf:${service}`],
      read: () => kept.issued ?? first
    })
    return { index: answer.value.leaf.ModifyIndex, value: answer.value.leaf, cached }
  })

  return {
    get: (service, request) =>
      service.includes("/")
        ? Effect.fail(
          new ApiError.InternalError({
            body: `SPIFFE ID is not in the expected format: ${uriOf("")}${service}`
          })
        )
        : Effect.acquireUseRelease(enter(service), (kept) => read(service, request, kept), leave)
  }
})

/** A leaf as the API shows it. */
const shown = (
  leaf: CertificateAuthority.Leaf,
  signer: Roots.Signer,
  service: string,
  uri: string,
  index: number
): ConsulCa.Leaf => ({
  SerialNumber: leaf.serial,
  CertPEM: leaf.certificatePem + signer.intermediates.join(""),
  PrivateKeyPEM: leaf.privateKeyPem,
  Service: service,
  ServiceURI: uri,
  ValidAfter: Roots.rfc3339(leaf.notBefore),
  ValidBefore: Roots.rfc3339(leaf.notAfter),
  CreateIndex: index,
  ModifyIndex: index
})

/**
 * Milliseconds. `share` is in [0, 1): where between 60 and 90 percent of the life. Lives under ten minutes, which Consul renews
 * at once, end their draw at 80 percent: of a few seconds, a tenth is too little for the news to get around.
 */
export const renewAt = (notBefore: number, notAfter: number, share: number): number => {
  const life = notAfter - notBefore
  return Math.round(notBefore + life * (0.6 + (life < 600_000 ? 0.2 : 0.3) * share))
}
