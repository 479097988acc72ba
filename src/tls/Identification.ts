/**
 * Who a certificate names, and whether those who issued it may say so. The path to a root is valid by then: OpenSSL has
 * seen to it during the handshake, but nobody tells which path that was. Hence a path is looked for once more here, by
 * signatures, of authorities that follow SPIFFE's rules.
 *
 * Reading and following a certificate takes about a millisecond, hence is done once for each: the same peers come again
 * and again, with the same certificate until it is renewed. What was found holds as long as the roots.
 */
import { X509Certificate } from "node:crypto"
import { Result } from "effect"
import * as Certificate from "../identity/Certificate.ts"
import type * as SpiffeId from "../identity/SpiffeId.ts"
import type * as TrustBundle from "../identity/TrustBundle.ts"
import type * as Refusal from "./Refusal.ts"
import * as SpiffeRules from "./SpiffeRules.ts"

/** A certificate as Node has it, from either of its two ways of asking. */
export type Leaf = Pick<X509Certificate, "fingerprint256" | "raw">

export interface Identification {
  /**
   * `authorities`: what the peer sent along, in any order. Asked for only with leaves that were not met before.
   */
  readonly identify: (
    leaf: Leaf,
    authorities: () => ReadonlyArray<X509Certificate>
  ) => Result.Result<SpiffeId.Service, Refusal.Refusal>
}

/** Beyond that many leaves it starts over: about 5 MB. */
const capacity = 10_000

/** Signatures that are looked at in search of a path: what a peer can make us work is bounded. */
const maxTries = 32

/** One certificate, for signatures and for what it says. */
interface Authority {
  readonly native: X509Certificate
  readonly certificate: Certificate.Certificate
}

export const make = (roots: ReadonlyArray<TrustBundle.Root>, extent: SpiffeRules.Extent): Identification => {
  const known = new Map<string, { readonly found: ReturnType<Identification["identify"]>; readonly until: number }>()
  const intermediates = new Map<string, Authority>()
  const anchors = roots.map(({ certificate, name }) => ({
    name: `the CA root ${name || certificate.subject}`,
    certificate,
    native: new X509Certificate(certificate.pem)
  }))

  const authority = (native: X509Certificate): Authority | undefined => {
    const present = intermediates.get(native.fingerprint256)
    if (present !== undefined) return present
    const certificate = Result.getOrUndefined(Certificate.fromDer(native.raw, "an intermediate"))
    if (certificate === undefined) return undefined
    const made = { native, certificate }
    if (intermediates.size >= 256) intermediates.clear()
    intermediates.set(native.fingerprint256, made)
    return made
  }

  /** Until when a path of authorities leads from a leaf of `trustDomain` to a root, by SPIFFE's rules. */
  const follow = (
    leaf: Leaf,
    sent: ReadonlyArray<X509Certificate>,
    trustDomain: string,
    now: number
  ): Result.Result<number, Refusal.Refusal> => {
    let why: string | undefined
    let tries = maxTries
    const issued = (issuer: X509Certificate, subject: X509Certificate): boolean =>
      subject.checkIssued(issuer) && tries-- > 0 && subject.verify(issuer.publicKey)

    const from = (subject: X509Certificate, left: ReadonlyArray<X509Certificate>): number | undefined => {
      for (const { certificate, name, native } of anchors) {
        if (!issued(native, subject)) continue
        const fault = SpiffeRules.fault(certificate, trustDomain)
        if (fault === undefined) return certificate.notAfter.getTime()
        why ??= `${name} ${fault}`
      }
      for (const next of left) {
        if (!issued(next, subject)) continue
        const { certificate } = authority(next) ?? {}
        if (certificate === undefined || !certificate.isCa || !Certificate.isValidAt(certificate, now)) continue
        const fault = SpiffeRules.fault(certificate, trustDomain)
        if (fault !== undefined) {
          why ??= `the authority ${certificate.subject}, which vouches for its certificate, ${fault}`
          continue
        }
        const until = from(next, left.filter((each) => each !== next))
        if (until !== undefined) return Math.min(until, certificate.notAfter.getTime())
      }
      return undefined
    }

    const until = from(new X509Certificate(leaf.raw), sent)
    return until === undefined
      ? Result.fail({
        _tag: "ForeignAuthority",
        why: why ?? "its certificate leads to no root by the authorities that were sent with it"
      })
      : Result.succeed(until)
  }

  return {
    identify: (leaf, authorities) => {
      const fingerprint = leaf.fingerprint256
      const now = Date.now()
      const present = known.get(fingerprint)
      if (present !== undefined && now <= present.until) return present.found
      const certificate = Certificate.fromDer(leaf.raw, "the certificate of a peer")
      if (Result.isFailure(certificate)) return Result.fail({ _tag: "InvalidPath", code: "MALFORMED" })
      const found = SpiffeRules.leaf(certificate.success)
      let until = Infinity
      if (extent !== "leaf" && Result.isSuccess(found)) {
        const path = follow(leaf, authorities(), found.success.trustDomain, now)
        // With other intermediates there may be a path.
        if (Result.isFailure(path)) return Result.fail(path.failure)
        until = path.success
      }
      if (known.size >= capacity) known.clear()
      known.set(fingerprint, { found, until })
      return found
    }
  }
}
