/**
 * Which service a certificate names, and whether its issuers may say so.
 *
 * Reading a certificate and finding its path takes about a millisecond. It is done once for each certificate: the same peers
 * come again and again, with the same certificate until it is renewed. A result holds as long as the roots do.
 */
import type { X509Certificate } from "node:crypto"
import { Result } from "effect"
import * as Certificate from "../identity/Certificate.ts"
import type * as SpiffeId from "../identity/SpiffeId.ts"
import type * as TrustBundle from "../identity/TrustBundle.ts"
import * as AuthorityPath from "./AuthorityPath.ts"
import type * as Refusal from "./Refusal.ts"
import * as SpiffeRules from "./SpiffeRules.ts"

/** A certificate as Node has it, from either of its two ways of asking. */
export type Leaf = Pick<X509Certificate, "fingerprint256" | "raw">

export interface Identification {
  /** `authorities`: what the peer sent along, in any order. Called only for a leaf that is new. */
  readonly identify: (
    leaf: Leaf,
    authorities: () => ReadonlyArray<X509Certificate>
  ) => Result.Result<SpiffeId.Service, Refusal.Refusal>
}

/** Beyond that many leaves it starts over: about 5 MB. */
const capacity = 10_000

/** Roots of another trust domain, which vouch for it alone. */
export interface Beside {
  readonly trustDomain: string
  readonly anchors: ReadonlyArray<TrustBundle.Root>
}

/**
 * `beside`: who is of their trust domains has to be vouched for by them, and nobody else can be. Where several say that a trust domain
 * is theirs, by what all of them vouch with: one of them could name callers of another otherwise.
 */
export const make = (
  roots: ReadonlyArray<TrustBundle.Root>,
  extent: SpiffeRules.Extent,
  beside: ReadonlyArray<Beside> = []
): Identification => {
  const known = new Map<string, { readonly found: ReturnType<Identification["identify"]>; readonly until: number }>()
  const paths = AuthorityPath.make(roots)
  const others = new Map(
    [...Map.groupBy(beside, ({ trustDomain }) => trustDomain)].map(([trustDomain, same]) =>
      [trustDomain, AuthorityPath.make(common(same))] as const
    )
  )
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
        const { trustDomain } = found.success
        const path = (others.get(trustDomain) ?? paths).follow(leaf, authorities(), trustDomain, now)
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

const common = ([first, ...rest]: ReadonlyArray<Beside>): ReadonlyArray<TrustBundle.Root> =>
  (first?.anchors ?? []).filter(({ certificate }) =>
    rest.every(({ anchors }) => anchors.some((other) => other.certificate.pem === certificate.pem))
  )
