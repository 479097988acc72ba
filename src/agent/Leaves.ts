/**
 * The leaf certificates that this agent has handed out, one per service, each kept current by a fiber: renewed at a random
 * point of its life (`renewAt`), and as soon as another root signs. A leaf without a reader for two of its
 * lives is forgotten.
 *
 * Consul spreads the renewals after a rotation over 30 seconds, to spare its servers. Here the agent is the server.
 */
import { Clock, Duration, Effect, FiberSet, Random, Schedule, type Scope } from "effect"
import * as ApiError from "../consul/ApiError.ts"
import type * as ConsulCa from "../consul/CertificateAuthority.ts"
import * as Certificate from "../identity/Certificate.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as BlockingRead from "./BlockingRead.ts"
import * as Provider from "./ca/Provider.ts"
import * as Requests from "./ca/Requests.ts"
import * as RootView from "./ca/RootView.ts"
import type * as Roots from "./Roots.ts"
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
  /** Milliseconds of the epoch. */
  readonly expires: number
}

/** The leaf of one service: from the first reader until there are none, or until its renewal fails. */
interface Kept {
  issued?: Issued
  /** Why there is no newer one. */
  failed?: Provider.ProviderError
  readers: number
  /** Milliseconds of the epoch: when a reader came or went. */
  lastRead: number
}

/** How many lives of its leaf a service is remembered without readers. */
const unreadLives = 2

/** How long a provider is left alone that could not sign. */
const again = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")]).pipe(Schedule.jittered)

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
    const request = yield* Requests.forLeaf(uri)
    const pem = yield* signer.sign(request.csr)
    const certificate = yield* Effect.mapError(
      Effect.fromResult(Certificate.parse(pem, `the certificate for ${uri}`)),
      ({ message }) => new Provider.ProviderError({ why: message })
    )
    store.commit((index) => {
      delete kept.failed
      kept.issued = {
        signerId: signer.id,
        expires: certificate.notAfter.getTime(),
        leaf: {
          SerialNumber: certificate.serial,
          CertPEM: pem,
          PrivateKeyPEM: Requests.sec1(request),
          Service: service,
          ServiceURI: uri,
          ValidAfter: RootView.rfc3339(certificate.notBefore),
          ValidBefore: RootView.rfc3339(certificate.notAfter),
          CreateIndex: index,
          ModifyIndex: index
        }
      }
      return [undefined, [`leaf:${service}`]]
    })
    return { notBefore: certificate.notBefore.getTime(), notAfter: certificate.notAfter.getTime(), signerId: signer.id }
  })

  /** Tries again while the leaf before holds: readers are served that one meanwhile. Fails without one. */
  const renew = (service: string, kept: Kept) =>
    issue(service, kept).pipe(
      Effect.tapError((error) =>
        Effect.gen(function*() {
          if (kept.issued === undefined || kept.issued.expires <= (yield* Clock.currentTimeMillis)) return
          if (kept.failed === undefined) {
            yield* Effect.logWarning(
              `no new leaf certificate for ${service}: ${error.message}. The one before is served meanwhile`
            )
          }
          // Readers that wait for one by another root are to stop; those that wait for another leaf are not.
          store.commit(() => {
            kept.failed = error
            return [undefined, [`unsigned:${service}`]]
          })
        })
      ),
      Effect.retry({
        schedule: again,
        while: () =>
          Effect.map(Clock.currentTimeMillis, (now) => kept.issued !== undefined && kept.issued.expires > now)
      })
    )

  /** Issues, waits until it is time again, and so on while there are readers. */
  const keep = (service: string, kept: Kept): Effect.Effect<void> =>
    Effect.gen(function*() {
      while (true) {
        const { notAfter, notBefore, signerId } = yield* renew(service, kept)
        const renewal = renewAt(notBefore, notAfter, yield* Random.next)
        const now = yield* Clock.currentTimeMillis
        yield* Effect.timeoutOption(rotated(signerId), Duration.millis(Math.max(0, renewal - now)))
        const unread = (yield* Clock.currentTimeMillis) - kept.lastRead
        if (kept.readers === 0 && unread >= unreadLives * (notAfter - notBefore)) {
          all.delete(service)
          store.forget(`unsigned:${service}`)
          return store.forget(`leaf:${service}`)
        }
      }
    }).pipe(
      Effect.catch((error) =>
        Effect.sync(() => {
          delete kept.issued
          kept.failed = error
          all.delete(service)
          store.commit(() => [undefined, [`leaf:${service}`]])
        })
      )
    )

  /** Returns when another root signs than `signerId`. */
  const rotated = (signerId: string): Effect.Effect<void> =>
    Effect.suspend(() =>
      roots.signer().id === signerId
        ? Effect.flatMap(store.changed(["roots"], store.indexOf(["roots"])), () => rotated(signerId))
        : Effect.void
    )

  /**
   * The leaf by what signs now: waits for the first one, and for the one after a rotation. One of before, where none can be had.
   */
  const fresh = (service: string, kept: Kept): Effect.Effect<Issued, ApiError.InternalError> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const { failed, issued } = kept
      const holds = issued !== undefined && issued.expires > now
      if (holds && (failed !== undefined || issued.signerId === roots.signer().id)) return Effect.succeed(issued)
      if (failed !== undefined) return Effect.fail(new ApiError.InternalError({ body: failed.message }))
      const topics = [`leaf:${service}`, `unsigned:${service}`, "roots"] as const
      return Effect.flatMap(store.changed(topics, store.indexOf(topics)), () => fresh(service, kept))
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

/**
 * Milliseconds. `share` is in [0, 1): where between 60 and 90 percent of the life. For lives under ten minutes, which Consul renews
 * at once, it is between 50 and 60: on a busy machine the news takes longer to get around than a third of a few seconds.
 */
export const renewAt = (notBefore: number, notAfter: number, share: number): number => {
  const life = notAfter - notBefore
  return Math.round(notBefore + life * (life < 600_000 ? 0.5 + 0.1 * share : 0.6 + 0.3 * share))
}
