/** What the children of the benchmark are told, and what the mesh of it consists of. */
import { Layer, Redacted, Result } from "effect"
import * as Certificate from "../../../src/identity/Certificate.ts"
import type * as SpiffeId from "../../../src/identity/SpiffeId.ts"
import * as TrustBundle from "../../../src/identity/TrustBundle.ts"
import * as Authorizer from "../../../src/intention/Authorizer.ts"
import * as Intention from "../../../src/intention/Intention.ts"
import * as SecureContexts from "../../../src/tls/SecureContexts.ts"
import * as CaRoots from "../../../src/watch/CaRoots.ts"
import * as DiscoveryChains from "../../../src/watch/DiscoveryChains.ts"
import * as Endpoints from "../../../src/watch/Endpoints.ts"
import * as Intentions from "../../../src/watch/Intentions.ts"
import * as JwtProviders from "../../../src/watch/JwtProviders.ts"
import * as LeafCertificate from "../../../src/watch/LeafCertificate.ts"
import * as MeshDefaults from "../../../src/watch/MeshDefaults.ts"
import * as PreparedQueries from "../../../src/watch/PreparedQueries.ts"
import * as Watched from "../../../src/watch/Watched.ts"

/**
 * - `raw`: `https` and undici, by hand
 * - `effect`: the same under Effect's server and client
 * - `mesh`: this package
 * - `traced`: the same, in a trace that somebody else has begun
 * - `plain`: Effect's server and client without TLS, for behind sidecars
 */
export type Kind = "raw" | "effect" | "mesh" | "traced" | "plain"

export interface Side {
  readonly kind: Kind
  readonly chainPem: string
  readonly keyPem: string
  readonly rootPem: string
  readonly ciphers: string
  /** What a client calls. */
  readonly port: number
}

export const answer = { item: "lamp", left: 3, where: ["here", "there"] }

/** What the mesh knows in the child that has this side. */
export const mesh = (side: Side) => {
  const certificate = Result.getOrThrow(Certificate.parse(side.chainPem, "the leaf"))
  const identity = Result.getOrThrow(Certificate.identity(certificate)) as SpiffeId.Service
  const root = Result.getOrThrow(
    TrustBundle.root({ id: "1", name: "root", rootCert: side.rootPem, intermediateCerts: [], active: true })
  )
  const leaf = { identity, certificate, chainPem: side.chainPem, keyPem: Redacted.make(side.keyPem) }
  const authorizer = Authorizer.compile({
    destination: { service: identity.service, protocol: "http" },
    trustDomain: identity.trustDomain,
    intentions: [Intention.make("web", identity.service, [{ Action: "allow", HTTP: { PathPrefix: "/items/" } }])],
    defaultPolicy: "deny"
  })
  const target = { ...identity, id: "api", service: "api", filter: "", onlyPassing: false, sni: "" }
  const instances = [{ id: "api", address: { host: "127.0.0.1", port: side.port }, weight: 1 }]
  return SecureContexts.layer.pipe(Layer.provideMerge(Layer.mergeAll(
    Layer.succeed(CaRoots.CaRoots, Watched.constant("roots", { trustDomain: identity.trustDomain, roots: [root] })),
    Layer.succeed(LeafCertificate.LeafCertificate, Watched.constant("leaf", leaf)),
    Layer.succeed(Intentions.Intentions, Watched.constant("intentions", authorizer)),
    JwtProviders.layerStatic(),
    MeshDefaults.layerStatic(),
    DiscoveryChains.layerStatic(() => Watched.constant("chain", { targets: [target], connectTimeoutMillis: 5000 })),
    Endpoints.layerStatic(() => Watched.constant("instances", instances)),
    PreparedQueries.layerStatic()
  )))
}
