/**
 * The path from a certificate to a root. OpenSSL has verified one during the handshake but does not tell which, so it is
 * searched once more here: by signatures, through authorities that follow SPIFFE's rules.
 */
import { X509Certificate } from "node:crypto"
import { Result } from "effect"
import * as Certificate from "../identity/Certificate.ts"
import type * as TrustBundle from "../identity/TrustBundle.ts"
import type * as Refusal from "./Refusal.ts"
import * as SpiffeRules from "./SpiffeRules.ts"

export interface AuthorityPath {
  /**
   * Until when a path leads from a leaf of `trustDomain` to a root; `now` and the result are milliseconds of the epoch.
   * `sent`: the authorities that the peer sent along, in any order.
   */
  readonly follow: (
    leaf: Pick<X509Certificate, "raw">,
    sent: ReadonlyArray<X509Certificate>,
    trustDomain: string,
    now: number
  ) => Result.Result<number, Refusal.Refusal>
}

/** Signatures that one search verifies at most: the work that a peer can cause is bounded. */
const maxTries = 32

/** Intermediates that are kept parsed. Beyond that many it starts over. */
const capacity = 256

/** One certificate, for signatures and for what it says. */
interface Authority {
  readonly native: X509Certificate
  readonly certificate: Certificate.Certificate
}

interface Anchor extends Authority {
  readonly name: string
}

export const make = (roots: ReadonlyArray<TrustBundle.Root>): AuthorityPath => {
  const anchors = roots.map(({ certificate, name }): Anchor => ({
    name: `the CA root ${name || certificate.subject}`,
    certificate,
    native: new X509Certificate(certificate.pem)
  }))
  const authorityOf = makeReader()
  return {
    follow: (leaf, sent, trustDomain, now) => {
      const search = new Search(anchors, authorityOf, trustDomain, now)
      const until = search.from(new X509Certificate(leaf.raw), sent)
      return until === undefined
        ? Result.fail({
          _tag: "ForeignAuthority",
          why: search.why ?? "its certificate leads to no root by the authorities that were sent with it"
        })
        : Result.succeed(until)
    }
  }
}

/** Reads each intermediate once. Undefined: it can not be read. */
const makeReader = () => {
  const known = new Map<string, Authority>()
  return (native: X509Certificate): Authority | undefined => {
    const present = known.get(native.fingerprint256)
    if (present !== undefined) return present
    const certificate = Result.getOrUndefined(Certificate.fromDer(native.raw, "an intermediate"))
    if (certificate === undefined) return undefined
    const made = { native, certificate }
    if (known.size >= capacity) known.clear()
    known.set(native.fingerprint256, made)
    return made
  }
}

class Search {
  /** Why the first path that was found does not count. */
  why: string | undefined
  private tries = maxTries
  private readonly anchors: ReadonlyArray<Anchor>
  private readonly authorityOf: (native: X509Certificate) => Authority | undefined
  private readonly trustDomain: string
  private readonly now: number

  constructor(
    anchors: ReadonlyArray<Anchor>,
    authorityOf: (native: X509Certificate) => Authority | undefined,
    trustDomain: string,
    now: number
  ) {
    this.anchors = anchors
    this.authorityOf = authorityOf
    this.trustDomain = trustDomain
    this.now = now
  }

  /** Until when a path leads from `subject` to a root, through some of `left`. */
  from(subject: X509Certificate, left: ReadonlyArray<X509Certificate>): number | undefined {
    for (const { certificate, name, native } of this.anchors) {
      if (!this.issued(native, subject)) continue
      const fault = SpiffeRules.fault(certificate, this.trustDomain)
      if (fault === undefined) return certificate.notAfter.getTime()
      this.why ??= `${name} ${fault}`
    }
    for (const next of left) {
      if (!this.issued(next, subject)) continue
      const { certificate } = this.authorityOf(next) ?? {}
      if (certificate === undefined || !certificate.isCa || !Certificate.isValidAt(certificate, this.now)) continue
      const fault = SpiffeRules.fault(certificate, this.trustDomain)
      if (fault !== undefined) {
        this.why ??= `the authority ${certificate.subject}, which vouches for its certificate, ${fault}`
        continue
      }
      const until = this.from(next, left.filter((each) => each !== next))
      if (until !== undefined) return Math.min(until, certificate.notAfter.getTime())
    }
    return undefined
  }

  private issued(issuer: X509Certificate, subject: X509Certificate): boolean {
    return subject.checkIssued(issuer) && this.tries-- > 0 && subject.verify(issuer.publicKey)
  }
}
