/** The certificate authorities that this mesh trusts. */
import { Context, Effect, Layer, Result, type Scope, type SubscriptionRef } from "effect"
import * as ApiWatch from "../consul/ApiWatch.ts"
import type * as CertificateAuthority from "../consul/CertificateAuthority.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as TrustBundle from "../identity/TrustBundle.ts"
import * as Watched from "./Watched.ts"

export class CaRoots extends Context.Service<CaRoots, Watched.Watched<TrustBundle.TrustBundle>>()(
  "effect-mesh/watch/CaRoots"
) {}

const what = "the CA roots"

/** Serves what is put into `ref`: a rotation is one `SubscriptionRef.set`. */
export const layerFrom = (ref: SubscriptionRef.SubscriptionRef<TrustBundle.TrustBundle>): Layer.Layer<CaRoots> =>
  Layer.succeed(CaRoots, Watched.fromRef(what, ref))

/** Watches the Consul agent. Builds at once: wait for the first bundle with `Watched.ready`. */
export const layer: Layer.Layer<CaRoots, never, ConsulClient.ConsulClient> = Layer.effect(
  CaRoots,
  Effect.flatMap(ConsulClient.ConsulClient, (consul) => watch(consul))
)

/** One for each client. */
export const watch = (
  consul: ConsulClient.ConsulClient["Service"]
): Effect.Effect<Watched.Watched<TrustBundle.TrustBundle>, never, Scope.Scope> => {
  const name = "GET /v1/agent/connect/ca/roots"
  return consul.share(
    name,
    Watched.make(
      { what, watch: "roots", subject: "*" },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "vital",
        request: (api, blocking) => api.agent.caRoots({ query: blocking }),
        decode: toBundle
      }),
      describe
    )
  )
}

/** A rotation, for the log: the fingerprint by which Consul names the root that signs now, and its end. */
const describe = (bundle: TrustBundle.TrustBundle, before: TrustBundle.TrustBundle): string | undefined => {
  const active = bundle.roots.find((root) => root.active)
  return active === undefined || before.roots.some((root) => root.active && root.id === active.id)
    ? undefined
    : `the CA root that signs is now ${active.name} (${active.id}), until ${active.certificate.notAfter.toISOString()}; ` +
      `${bundle.roots.length} are trusted`
}

/** Fails on a list without a root, and on one that cannot be read: half a bundle would refuse half the callers. */
export const toBundle = (answer: CertificateAuthority.Roots): Result.Result<TrustBundle.TrustBundle, string> =>
  Result.gen(function*() {
    const roots: Array<TrustBundle.Root> = []
    for (const root of answer.Roots) {
      roots.push(
        yield* Result.mapError(
          TrustBundle.root({
            id: root.ID,
            name: root.Name,
            rootCert: root.RootCert,
            intermediateCerts: root.IntermediateCerts,
            active: root.ID === answer.ActiveRootID
          }),
          (error) => error.message
        )
      )
    }
    const [first, ...rest] = roots
    if (first === undefined || answer.TrustDomain === "") return yield* Result.fail("it names no CA root")
    return { trustDomain: answer.TrustDomain.toLowerCase(), roots: [first, ...rest] as const }
  })
