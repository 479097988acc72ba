/**
 * Whom peered clusters trust, as clusters and the listener for callers say it. Envoys are told no names of peers: their trust domains
 * stand for them, here and in intentions.
 *
 * While a peer exchanges its root, not all say the same. Each root counts as long as one of them says it.
 */
import * as PeerBundles from "../../watch/PeerBundles.ts"
import type * as TlsContext from "./TlsContext.ts"

const certificates = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

interface Secured {
  readonly tls: TlsContext.TlsContext | undefined
}

/** The same authorities give the same value. */
export const make = () => {
  let last: { readonly key: string; readonly bundles: PeerBundles.Bundles } | undefined
  return (trustDomain: string, resources: ReadonlyArray<Secured>): PeerBundles.Bundles => {
    const said = new Map<string, Set<string>>()
    for (const { tls } of resources) {
      for (const [domain, pem] of tls === undefined ? [] : authoritiesOf(tls)) {
        if (domain === trustDomain) continue
        const known = said.get(domain) ?? new Set()
        said.set(domain, known)
        for (const root of pem.match(certificates) ?? []) known.add(root)
      }
    }
    const key = JSON.stringify([...said].map(([domain, pems]) => [domain, ...pems]))
    if (last?.key === key) return last.bundles
    const bundles = new Map(
      [...said].flatMap(([domain, pems]) => {
        const bundle = PeerBundles.bundleOf(domain, [...pems])
        return bundle?.trustDomain === domain ? [[domain, bundle] as const] : []
      })
    )
    last = { key, bundles }
    return bundles
  }
}

/** By trust domain. Authorities without one are of those who may answer, where these are all of one. */
const authoritiesOf = (
  { authorities, identities }: TlsContext.TlsContext
): ReadonlyArray<readonly [string, string]> => {
  const [domain, ...others] = new Set(identities.map(({ trustDomain }) => trustDomain))
  return [...authorities].flatMap(([name, pem]) =>
    name !== "" ? [[name, pem] as const] : domain === undefined || others.length > 0 ? [] : [[domain, pem] as const]
  )
}
