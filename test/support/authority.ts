/** The agent's certificate authority by itself, and what its certificates are worth. */
import { X509Certificate } from "node:crypto"
import { Duration, Effect, Result } from "effect"
import * as Leaves from "../../src/agent/Leaves.ts"
import * as Roots from "../../src/agent/Roots.ts"
import * as Store from "../../src/agent/Store.ts"
import * as TrustBundle from "../../src/identity/TrustBundle.ts"
import * as AuthorityPath from "../../src/tls/AuthorityPath.ts"
import * as Certificates from "./certificates.ts"

export const make = (leafTtl: Duration.Input = "72 hours") =>
  Effect.gen(function*() {
    const store = Store.make()
    const roots = yield* Roots.make({
      store,
      clusterId: Certificates.trustDomain.replace(".consul", ""),
      leafTtl: Duration.fromInputUnsafe(leafTtl)
    })
    const leaves = yield* Leaves.make({ store, roots, datacenter: "dc1" })
    return { store, roots, leaves, chain: (service: string) => chainOf(leaves, service) }
  })

/** The leaf of a service and what is sent along with it. */
const chainOf = (leaves: Leaves.Leaves, service: string) =>
  Effect.map(leaves.get(service, {}), ({ value }) => split(value.CertPEM))

/** The certificates of a PEM text. */
export const split = (pem: string): ReadonlyArray<X509Certificate> =>
  pem.split(/(?<=-----END CERTIFICATE-----\n)/).filter((each) => each !== "").map((each) => new X509Certificate(each))

/** Why a peer refuses a chain that trusts these roots alone. Undefined: it does not. */
export const refusal = (
  chain: ReadonlyArray<X509Certificate>,
  roots: ReadonlyArray<string>,
  now = Date.now()
): string | undefined => {
  const path = AuthorityPath.make(
    roots.map((rootCert) =>
      Result.getOrThrow(TrustBundle.root({ id: "", name: "", rootCert, intermediateCerts: [], active: true }))
    )
  )
  const [leaf, ...sent] = chain
  if (leaf === undefined) return "there is no leaf"
  const followed = path.follow(leaf, sent, Certificates.trustDomain, now)
  return Result.isSuccess(followed) ? undefined : JSON.stringify(followed.failure)
}
