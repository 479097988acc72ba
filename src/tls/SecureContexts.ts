/**
 * Leaf and roots, turned into what `node:tls` wants, and turned again when either changes. New handshakes use the new
 * material at once; established connections are left alone and listeners stay open.
 *
 * - Every listed root is an anchor, self-signed or not, active or not. Their `intermediates` are not loaded: a peer sends
 *   its own, as Consul's leaves carry them.
 * - Roots past their validity are left out while others remain: OpenSSL prefers a listed root to a longer path, so an
 *   expired one would spoil a path that a cross-signed certificate completes.
 * - No session tickets and no renegotiation, hence no handshake that skips verification: see
 *   docs/decisions/0004-no-session-resumption.md.
 */
import { constants, X509Certificate } from "node:crypto"
import * as Tls from "node:tls"
import {
  Clock,
  Context,
  Deferred,
  Effect,
  Layer,
  Redacted,
  Result,
  Schema,
  Semaphore,
  Stream,
  SubscriptionRef
} from "effect"
import type * as Certificate from "../identity/Certificate.ts"
import type * as TrustBundle from "../identity/TrustBundle.ts"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as Meter from "../observe/Meter.ts"
import * as CaRoots from "../watch/CaRoots.ts"
import * as LeafCertificate from "../watch/LeafCertificate.ts"
import * as PeerBundles from "../watch/PeerBundles.ts"
import * as Identification from "./Identification.ts"
import * as LeafExpiry from "./LeafExpiry.ts"
import * as OneATurn from "./OneATurn.ts"
import type * as SpiffeRules from "./SpiffeRules.ts"

/** What a dialler trusts. */
export interface Trust {
  /** For `tls.connect`. */
  readonly client: Tls.SecureContext
  readonly subordinateAnchors: boolean
  readonly identification: Identification.Identification
}

/** What one rotation brought. */
export interface Material extends Trust {
  readonly leaf: LeafCertificate.Leaf
  readonly roots: TrustBundle.TrustBundle
  /** For `tls.connect`. */
  readonly client: Tls.SecureContext
  /** For `tls.createServer` and `server.setSecureContext`, which silently ignore a `secureContext`. */
  readonly server: Tls.SecureContextOptions
  /**
   * Some anchor is not self-signed. Clients take it as it is; servers of Node ignore `allowPartialTrustChain`, so that
   * `PeerVerification.acceptor` has to know.
   */
  readonly subordinateAnchors: boolean
  /** Whom the certificates of peers name, under these roots. */
  readonly identification: Identification.Identification
  /** The same for callers, who may be of a peered cluster: then its roots have to vouch for them, and for nobody else. */
  readonly callers: Identification.Identification
  /** What to trust at instances of a peered cluster. Undefined: nobody vouches for any. */
  readonly peer: (name: string) => Trust | undefined
}

export class SecureContexts extends Context.Service<SecureContexts, {
  /** The material in force. Synchronous, for socket callbacks. */
  readonly current: () => Material
  /** The material in force, then each later one. Never ends. */
  readonly changes: Stream.Stream<Material>
}>()("effect-mesh/tls/SecureContexts") {}

/** Leaf, key and roots do not make a usable pair. The ones before stay in force. */
export class UnusableMaterial extends Schema.TaggedError<UnusableMaterial>()("UnusableMaterial", {
  why: Schema.String
}) {
  override readonly message = `the leaf certificate, its key or the CA roots can not be used for TLS: ${this.why}`
}

/** TLS 1.2 suites as Consul's SDK orders them; those of TLS 1.3 come first, the cheapest in front. */
export const ciphers = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-CHACHA20-POLY1305"
].join(":")

/** `now` in milliseconds. */
export const material = (
  leaf: LeafCertificate.Leaf,
  roots: TrustBundle.TrustBundle,
  now: number,
  spiffe: SpiffeRules.Extent = "strict",
  peers: PeerBundles.Bundles = new Map(),
  latestPeers: () => PeerBundles.Bundles = () => peers
): Result.Result<Material, UnusableMaterial> => {
  const anchors = anchorsOf(roots, now)
  const trusted = peersOf(peers, roots, spiffe)
  const beside = [...trusted.values()].map((bundle) => ({ ...bundle, anchors: anchorsOf(bundle, now) }))
  const every = [...anchors, ...beside.flatMap(({ anchors }) => anchors)]
  const options: Tls.SecureContextOptions = {
    cert: leaf.chainPem,
    key: Redacted.value(leaf.keyPem),
    ca: anchors.map((root) => root.certificate.pem),
    allowPartialTrustChain: true,
    minVersion: "TLSv1.2",
    ciphers,
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION
  }
  try {
    const identification = Identification.make(anchors, spiffe)
    const clients = new Map<string, Trust>()
    return Result.succeed({
      leaf,
      roots,
      client: Tls.createSecureContext(options),
      server: { ...options, ca: every.map((root) => root.certificate.pem) },
      subordinateAnchors: every.some((root) => !isSelfSigned(root.certificate)),
      identification,
      callers: beside.length === 0 ? identification : Identification.make(anchors, spiffe, beside),
      peer: (name) => {
        // One that has just arrived is not in `peers` yet.
        const bundle = trusted.get(name) ?? peersOf(latestPeers(), roots, spiffe).get(name)
        if (bundle === undefined) return undefined
        const own = anchorsOf(bundle, now)
        const known = clients.get(name) ?? {
          client: Tls.createSecureContext({ ...options, ca: own.map((root) => root.certificate.pem) }),
          subordinateAnchors: false,
          identification: Identification.make(own, spiffe)
        }
        clients.set(name, known)
        return known
      }
    })
  } catch (cause) {
    // OpenSSL's text names the fault and quotes neither key nor certificate.
    return Result.fail(new UnusableMaterial({ why: cause instanceof Error ? cause.message : String(cause) }))
  }
}

/** Roots past their validity are left out while others remain. */
const anchorsOf = ({ roots }: TrustBundle.TrustBundle, now: number): ReadonlyArray<TrustBundle.Root> => {
  const valid = roots.filter((root) => root.certificate.notAfter.getTime() >= now)
  return valid.length === 0 ? roots : valid
}

/**
 * None that has our own trust domain: its roots would vouch for ours. None at all where authorities are not held to the trust domain
 * that they are of.
 */
const peersOf = (
  peers: PeerBundles.Bundles,
  { trustDomain }: TrustBundle.TrustBundle,
  spiffe: SpiffeRules.Extent
): PeerBundles.Bundles =>
  spiffe === "leaf" ? new Map() : new Map([...peers].filter(([, peer]) => peer.trustDomain !== trustDomain))

export interface Options {
  /** How far peers have to follow SPIFFE: see `SpiffeRules.Extent`. Default: `strict`. */
  readonly spiffe?: SpiffeRules.Extent | undefined
}

/** Ready once roots and a leaf have arrived and fit together. */
export const layerWith = (
  options: Options
): Layer.Layer<SecureContexts, never, CaRoots.CaRoots | LeafCertificate.LeafCertificate> =>
  Layer.effect(
    SecureContexts,
    Effect.gen(function*() {
      const roots = yield* CaRoots.CaRoots
      const leaf = yield* LeafCertificate.LeafCertificate
      const peers = yield* PeerBundles.PeerBundles
      const first = yield* Deferred.make<SubscriptionRef.SubscriptionRef<Material>>()
      let ref: SubscriptionRef.SubscriptionRef<Material> | undefined
      let last: readonly [TrustBundle.TrustBundle, LeafCertificate.Leaf] | undefined
      let peered = peers.latest()
      const use = Effect.fnUntraced(
        function*([bundle, certificate]: readonly [TrustBundle.TrustBundle, LeafCertificate.Leaf]) {
          // New roots reach all services of a process at once.
          yield* OneATurn.turn
          last = [bundle, certificate]
          const built = material(
            certificate,
            bundle,
            yield* Clock.currentTimeMillis,
            options.spiffe,
            peered,
            peers.latest
          )
          if (Result.isFailure(built)) {
            yield* Effect.logError(
              `${built.failure.message}${ref === undefined ? "" : ". The ones before stay in force"}`
            )
          } else if (ref === undefined) {
            ref = yield* SubscriptionRef.make(built.success)
            yield* Deferred.succeed(first, ref)
          } else {
            const before = SubscriptionRef.getUnsafe(ref).roots.trustDomain
            if (before !== bundle.trustDomain) {
              yield* Effect.logWarning(
                `the trust domain changed from ${before} to ${bundle.trustDomain}: this is another mesh. Check that the ` +
                  "agent is the right one"
              )
            }
            yield* SubscriptionRef.set(ref, built.success)
          }
        }
      )
      const oneByOne = yield* Semaphore.make(1)
      yield* Effect.forkScoped(
        Stream.runForEach(
          Stream.zipLatest(roots.changes, leaf.changes),
          (pair) => oneByOne.withPermit(use(pair))
        )
      )
      yield* Effect.forkScoped(Stream.runForEach(peers.bundles.changes, (next) =>
        oneByOne.withPermit(Effect.suspend(() => {
          if (next === peered) return Effect.void
          peered = next
          return last === undefined ? Effect.void : use(last)
        }))))
      const current = yield* Deferred.await(first)
      const inForce = () =>
        SubscriptionRef.getUnsafe(current)
      const { service } = inForce().leaf.identity
      yield* Meter.follow(MetricCatalogue.leafExpiry, { service }, () => endOf(inForce().leaf))
      yield* Meter.follow(MetricCatalogue.rootExpiry, { service }, () => {
        const { roots } = inForce().roots
        return endOf(roots.find(({ active }) => active) ?? roots[0])
      })
      yield* Effect.forkScoped(LeafExpiry.warn(SubscriptionRef.changes(current).pipe(Stream.map(({ leaf }) => leaf))))
      return SecureContexts.of({
        current: inForce,
        changes: SubscriptionRef.changes(current)
      })
    })
  )

/** In Unix time. */
const endOf = ({ certificate }: Pick<LeafCertificate.Leaf, "certificate">): number =>
  certificate.notAfter.getTime() / 1000

/** Peers have to follow SPIFFE in everything. */
export const layer = layerWith({})

/** Each root is asked once, whatever the number of services that share it. */
const selfSigned = new WeakMap<Certificate.Certificate, boolean>()

const isSelfSigned = (root: Certificate.Certificate): boolean => {
  const known = selfSigned.get(root)
  if (known !== undefined) return known
  const certificate = new X509Certificate(root.pem)
  const found = certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey)
  selfSigned.set(root, found)
  return found
}
