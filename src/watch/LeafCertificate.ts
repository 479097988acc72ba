/** The certificate and key by which this service proves who it is. */
import {
  Clock,
  Context,
  Duration,
  Effect,
  Layer,
  Queue,
  Random,
  Redacted,
  Result,
  Stream,
  type SubscriptionRef
} from "effect"
import * as BlockingQuery from "../consul/BlockingQuery.ts"
import type * as CertificateAuthority from "../consul/CertificateAuthority.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as ConsulError from "../consul/ConsulError.ts"
import * as Certificate from "../identity/Certificate.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as CaRoots from "./CaRoots.ts"
import * as News from "./News.ts"
import * as Watched from "./Watched.ts"

export interface Leaf {
  readonly identity: SpiffeId.Service
  /** The leaf itself. */
  readonly certificate: Certificate.Certificate
  /** The leaf, then the intermediates that lead to a root: what a peer is shown. */
  readonly chainPem: string
  readonly keyPem: Redacted.Redacted<string>
}

export interface Followed extends Watched.Watched<Leaf> {
  /** Asks for it now, and takes over what the answer is. Absent: nobody can be asked. */
  readonly ask?: Effect.Effect<Leaf, ConsulError.ConsulError> | undefined
}

export class LeafCertificate extends Context.Service<LeafCertificate, Followed>()(
  "effect-mesh/watch/LeafCertificate"
) {}

const what = "the leaf certificate"

/** Serves what is put into `ref`: a renewal is one `SubscriptionRef.set`. */
export const layerFrom = (ref: SubscriptionRef.SubscriptionRef<Leaf>): Layer.Layer<LeafCertificate> =>
  Layer.succeed(LeafCertificate, Watched.fromRef(what, ref))

/**
 * Watches the leaf that the Consul agent keeps for `service`, which need not be registered. Needs `service:write`.
 * Builds at once: wait for the first leaf with `Watched.ready`.
 */
export const layer = (options: {
  readonly service: string
}): Layer.Layer<LeafCertificate, never, ConsulClient.ConsulClient> =>
  Layer.effect(
    LeafCertificate,
    Effect.gen(function*() {
      const consul = yield* ConsulClient.ConsulClient
      const { service } = options
      const name = `GET /v1/agent/connect/ca/leaf/${service}`
      return yield* consul.share(
        name,
        Effect.gen(function*() {
          const news = yield* News.of(CaRoots.watch(consul), spread)
          const asked = yield* Queue.unbounded<Watched.Observation<Leaf>>()
          let expires: number | undefined
          const read = (answer: CertificateAuthority.Leaf) =>
            Effect.fromResult(toLeaf(answer)).pipe(
              Effect.filterOrFail(
                (leaf) => leaf.identity.service.toLowerCase() === service.toLowerCase(),
                (leaf) => `it is the leaf of ${leaf.identity.service}, and ${service} was asked for`
              ),
              Effect.mapError((why) => ConsulError.undecodable(name, why)),
              Effect.tap(({ certificate }) => Effect.sync(() => expires = certificate.notAfter.getTime()))
            )
          const followed = yield* Watched.make(
            { what, watch: "leaf", subject: service },
            Stream.merge(
              Stream.fromQueue(asked),
              BlockingQuery.byIndex(name, (known) =>
                Effect.gen(function*() {
                  // An agent has been seen to miss a renewal: a leaf near its end is asked for again, without an index.
                  const left = expires === undefined ? undefined : expires - (yield* Clock.currentTimeMillis)
                  const asked = left === undefined ? known : beforeExpiry(known, left)
                  const { body, headers } = yield* consul.hold(
                    name,
                    { every: "1 minute", news },
                    asked,
                    (api, known) => api.agent.caLeaf({ params: { service }, query: ConsulClient.blocking(known) })
                  )
                  return { value: yield* read(body), cursor: headers["x-consul-index"] }
                }))
            ),
            describe
          )
          const ask = Effect.gen(function*() {
            const { body } = yield* consul.call(name, (api) => api.agent.caLeaf({ params: { service }, query: {} }))
            const value = yield* read(body)
            yield* Queue.offer(asked, { _tag: "Answer", value, at: yield* Clock.currentTimeMillis })
            return value
          })
          return { ...followed, ask }
        })
      )
    })
  )

/** A renewal, for the log. */
const describe = ({ certificate, identity }: Leaf, before: Leaf): string | undefined =>
  certificate.serial === before.certificate.serial
    ? undefined
    : `a new leaf certificate for ${identity.service}: serial ${certificate.serial}, until ${certificate.notAfter.toISOString()}`

/**
 * Over how long the questions for new leaves are spread after a change of the roots, to spare the servers that sign: as an
 * agent does it for the leaves that it is asked to hold (`caChangeJitterWindow`).
 */
export const RotationSpread = Context.Reference<Duration.Input>("effect-mesh/watch/LeafCertificate/RotationSpread", {
  defaultValue: () => "30 seconds"
})

const spread = Effect.gen(function*() {
  const most = Duration.fromInputUnsafe(yield* RotationSpread)
  yield* Effect.sleep(Duration.times(most, yield* Random.next))
})

/** Never waits longer than half of the time left, in milliseconds, and not at all once that is over. */
const beforeExpiry = (known: { readonly cursor: bigint | undefined; readonly wait: string }, left: number) =>
  left <= 0
    ? { ...known, cursor: undefined }
    : left / 2 < Number.parseInt(known.wait)
    ? { ...known, wait: `${Math.max(1000, Math.round(left / 2))}ms` }
    : known

/** The identity is that of the certificate; what the answer says beside it is not looked at. */
export const toLeaf = (
  answer: Pick<CertificateAuthority.Leaf, "CertPEM" | "PrivateKeyPEM"> & Partial<CertificateAuthority.Leaf>
): Result.Result<Leaf, string> =>
  Result.gen(function*() {
    const certificate = yield* Result.mapError(Certificate.parse(answer.CertPEM, "the leaf"), (error) => error.message)
    const identity = yield* Result.mapError(Certificate.identity(certificate), (error) => error.message)
    if (identity._tag !== "Service") {
      return yield* Result.fail(`the leaf is for ${SpiffeId.format(identity)}, which is no service`)
    }
    if (!answer.PrivateKeyPEM.includes("PRIVATE KEY-----")) return yield* Result.fail("it carries no private key")
    return {
      identity,
      certificate,
      chainPem: answer.CertPEM,
      keyPem: Redacted.make(answer.PrivateKeyPEM, { label: "leaf key" })
    }
  })
