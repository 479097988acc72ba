/** Authorities that somebody else has made: certificates from the one that signs up to a root, and the key of the first. */
import { X509Certificate } from "node:crypto"
import { Clock, Effect, Result } from "effect"
import * as Certificate from "../../identity/Certificate.ts"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import * as x509 from "../../identity/x509.ts"
import type * as CertificateAuthority from "../CertificateAuthority.ts"
import * as Keys from "./Keys.ts"
import * as Provider from "./Provider.ts"

export interface Given {
  readonly mesh: Pick<Provider.Mesh, "trustDomain">
  /** How the certificates are called, for errors. */
  readonly what: string
  /** PEM, in any order after the first, which signs leaves. */
  readonly certificates: string
  readonly keyName: string
  /** PEM. */
  readonly key: string
}

export interface Read {
  readonly signer: CertificateAuthority.Authority
  /** From the signer to the root. */
  readonly path: ReadonlyArray<string>
}

/** Fails where leaves that they sign would be refused. */
export const read = ({ certificates, key, keyName, mesh, what }: Given): Effect.Effect<Read, Provider.ProviderError> =>
  Effect.gen(function*() {
    const refuse = (why: string) => new Provider.ProviderError({ why: `${what} ${why}` })
    const all = yield* Effect.mapError(
      Effect.fromResult(Certificate.parseAll(certificates, what)),
      ({ message }) => new Provider.ProviderError({ why: message })
    )
    const path = yield* Effect.mapError(Effect.fromResult(pathOf(all)), refuse)
    yield* Effect.mapError(check(path, mesh.trustDomain), refuse)
    const { key: kind, privateKey } = yield* Effect.mapError(
      Keys.fromPem(key),
      (why) => new Provider.ProviderError({ why: `${keyName} ${why}` })
    )
    const pem = path[0]?.pem ?? ""
    if (!Keys.belong(pem, key)) {
      return yield* new Provider.ProviderError({ why: `${keyName} is not the key of the first certificate of ${what}` })
    }
    return {
      signer: { key: kind, privateKey, pem, certificate: new x509.X509Certificate(pem) },
      path: path.map(({ pem }) => pem)
    }
  })

/** Fails with why leaves that the first one signs would be refused, as a clause. */
export const check = Effect.fnUntraced(function*(
  path: ReadonlyArray<Certificate.Certificate>,
  trustDomain: string
): Effect.fn.Return<void, string> {
  const now = yield* Clock.currentTimeMillis
  for (const [below, authority] of path.entries()) {
    const fault = faultOf(authority, below, trustDomain, now)
    if (fault !== undefined) return yield* Effect.fail(`has an authority (${authority.subject}) that ${fault}`)
  }
})

/** From the first one to a root, each signed by the one after it. */
export const pathOf = (
  all: readonly [Certificate.Certificate, ...Array<Certificate.Certificate>]
): Result.Result<ReadonlyArray<Certificate.Certificate>, string> => {
  const path = [all[0]]
  let left = all.slice(1)
  while (true) {
    const last = path[path.length - 1] ?? all[0]
    if (issued(last, last)) return Result.succeed(path)
    const next = left.find((each) => issued(each, last))
    if (next === undefined) {
      return Result.fail(
        `leads to no root: nothing in it has signed ${last.subject || "its first certificate"}. It has to have all ` +
          "authorities up to one that is self-signed"
      )
    }
    path.push(next)
    left = left.filter((each) => each !== next)
  }
}

export const issued = (issuer: Certificate.Certificate, subject: Certificate.Certificate): boolean => {
  const authority = new X509Certificate(issuer.pem)
  const certificate = new X509Certificate(subject.pem)
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
}

/** What makes peers refuse what this authority leads to, as a clause. So many authorities are `below` it. */
const faultOf = (
  authority: Certificate.Certificate,
  below: number,
  trustDomain: string,
  now: number
): string | undefined => {
  const certificate = new x509.X509Certificate(authority.pem)
  const usages = certificate.getExtension(x509.KeyUsagesExtension)?.usages
  if (!authority.isCa || (usages !== undefined && (usages & x509.KeyUsageFlags.keyCertSign) === 0)) {
    return "may not sign certificates"
  }
  const length = certificate.getExtension(x509.BasicConstraintsExtension)?.pathLength
  if (length !== undefined && length < below) return `allows ${length} authorities below it, and has ${below}`
  if (!Certificate.isValidAt(authority, now)) {
    return `is valid from ${authority.notBefore.toISOString()} to ${authority.notAfter.toISOString()} only`
  }
  const [uri, ...others] = authority.uris
  if (uri === undefined) return undefined
  const identity = Result.getOrUndefined(SpiffeId.parse(uri))
  if (others.length > 0 || identity?._tag !== "Signing") {
    return `names ${authority.uris.join(", ")}, where SPIFFE allows the trust domain alone`
  }
  return identity.trustDomain.toLowerCase() === trustDomain.toLowerCase()
    ? undefined
    : `is one of ${uri}, and may not issue for ${trustDomain}: start the agent with the cluster id of that trust domain`
}
