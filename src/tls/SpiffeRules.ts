/**
 * What SPIFFE asks of certificates beyond what X.509 does (X509-SVID, chapters 2 to 5). The rules for leaves always hold;
 * those for the authorities above them can be turned off, for authorities that can not follow them.
 *
 * Not asked for, as in SPIFFE's own libraries and in Consul: that a leaf has a key usage at all, and that an authority
 * has a SPIFFE id, which AWS and many a company root can not be given.
 */
import { Result } from "effect"
import type * as Certificate from "../identity/Certificate.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Refusal from "./Refusal.ts"

/**
 * - `strict`: leaves, and every authority between a leaf and a root, that root included
 * - `leaf`: leaves only. Any authority that leads to a root may then name anybody of this mesh, also one that another
 *   mesh under the same root runs.
 */
export type Extent = "strict" | "leaf"

/** §2, §5.2: exactly one URI, which must be a service's; no authority, and nothing that signs. */
export const leaf = (
  certificate: Pick<Certificate.Certificate, "uris" | "isCa" | "maySign">
): Result.Result<SpiffeId.Service, Refusal.Refusal> => {
  const { isCa, maySign, uris } = certificate
  const [uri, ...others] = uris
  if (isCa || maySign) return Result.fail({ _tag: "AuthorityAsLeaf" })
  if (uri === undefined) return Result.fail({ _tag: "NoIdentity" })
  if (others.length > 0) return Result.fail({ _tag: "SeveralIdentities", count: uris.length })
  const identity = SpiffeId.parse(uri)
  if (Result.isFailure(identity)) return Result.fail({ _tag: "InvalidIdentity", uri, why: identity.failure.why })
  return identity.success._tag === "Service"
    ? Result.succeed(identity.success)
    : Result.fail({ _tag: "NotAService", identity: identity.success })
}

/**
 * §3.2: an authority with a SPIFFE id has one, without a path, in the trust domain of what it issues. Returns what is
 * wrong with it as an authority of `trustDomain`, as a clause.
 */
export const fault = (authority: Pick<Certificate.Certificate, "uris">, trustDomain: string): string | undefined => {
  const [uri, ...others] = authority.uris
  if (uri === undefined) return undefined
  if (others.length > 0) return `has ${authority.uris.length} URIs, where SPIFFE allows one`
  const identity = Result.getOrUndefined(SpiffeId.parse(uri))
  return identity?._tag !== "Signing"
    ? `has the URI ${JSON.stringify(uri.slice(0, 256))}, which names no trust domain`
    : identity.trustDomain.toLowerCase() === trustDomain.toLowerCase()
    ? undefined
    : `is one of ${uri}, and may not issue for ${trustDomain}`
}
