/** What an authority does whose key is in this process. */
import { Clock, Duration, Effect } from "effect"
import type * as CaConfiguration from "../CaConfiguration.ts"
import * as CertificateAuthority from "../CertificateAuthority.ts"
import * as Provider from "./Provider.ts"

export interface Options {
  readonly mesh: Provider.Mesh
  readonly config: CaConfiguration.CaConfiguration
  readonly signer: CertificateAuthority.Authority
  /** From the signer to the root, both among them; the root alone where it signs itself. */
  readonly path: ReadonlyArray<string>
}

export type Signing = Omit<Provider.Provider, "rotate" | "configure">

export const make = ({ config, mesh, path, signer }: Options): Signing => {
  const authorities = path.slice(0, -1)
  const { nextSerial, trustDomain } = mesh
  /** Fails where the signer has expired: what it signed would be refused. */
  const signing = <A>(sign: (now: number) => Effect.Effect<A, CertificateAuthority.IssueError>) =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const { notAfter } = signer.certificate
      if (notAfter.getTime() <= now) {
        return yield* new Provider.ProviderError({
          why: `${authorities.length === 0 ? "root" : "intermediate"} expired: certificate expired, expiration date: ` +
            notAfter.toISOString()
        })
      }
      return yield* Effect.mapError(sign(now), ({ message }) => new Provider.ProviderError({ why: message }))
    })
  return {
    name: config.provider,
    root: path.at(-1) ?? signer.pem,
    authorities,
    sign: ({ csr, ttl }) =>
      signing((now) =>
        CertificateAuthority.signLeaf({ signer, csr, serial: nextSerial(), now, ttl: Duration.toMillis(ttl) })
      ),
    signIntermediate: (csr) =>
      signing((now) =>
        Effect.map(
          CertificateAuthority.signAuthority({
            signer,
            trustDomain,
            csr,
            serial: nextSerial(),
            now,
            ttl: Duration.toMillis(config.intermediateTtl)
          }),
          (intermediate) => [intermediate, ...authorities]
        )
      ),
    crossSign: CertificateAuthority.maySignAuthorities(signer.certificate)
      ? (root) =>
        signing((now) =>
          Effect.map(
            CertificateAuthority.crossSign({ signer, subject: root, serial: nextSerial(), now }),
            (crossed) => [crossed, ...authorities]
          )
        )
      : undefined
  }
}
