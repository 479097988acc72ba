/** The certificate authorities that a mesh trusts: several during a rotation, exactly one of them active. */
import { Result } from "effect"
import * as Certificate from "./Certificate.ts"
import type * as TrustDomain from "./TrustDomain.ts"

export interface Root {
  /** Consul's id of it, a fingerprint. */
  readonly id: string
  readonly name: string
  readonly certificate: Certificate.Certificate
  /** Certificates between leaves and this root, or between this root and an older one. Intermediates, not anchors. */
  readonly intermediates: ReadonlyArray<Certificate.Certificate>
  /** New leaves are signed under this one. A root that is not active is trusted all the same. */
  readonly active: boolean
}

export interface TrustBundle {
  readonly trustDomain: TrustDomain.TrustDomain
  readonly roots: readonly [Root, ...Array<Root>]
}

/** The PEM text of every anchor. */
export const anchors = (self: TrustBundle): ReadonlyArray<string> => self.roots.map((root) => root.certificate.pem)

/** One root from PEM text, as Consul's API lists them. */
export const root = (options: {
  readonly id: string
  readonly name: string
  readonly rootCert: string
  readonly intermediateCerts: ReadonlyArray<string>
  readonly active: boolean
}): Result.Result<Root, Certificate.InvalidCertificate> =>
  Result.gen(function*() {
    const certificate = yield* Certificate.parse(options.rootCert, `the CA root ${options.name || options.id}`)
    const intermediates: Array<Certificate.Certificate> = []
    for (const pem of options.intermediateCerts) {
      intermediates.push(
        ...(yield* Certificate.parseAll(pem, `an intermediate of the CA root ${options.name || options.id}`))
      )
    }
    return { id: options.id, name: options.name, certificate, intermediates, active: options.active }
  })
