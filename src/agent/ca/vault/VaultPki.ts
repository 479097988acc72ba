/**
 * Two secrets engines of Vault: one has the root, the other signs leaves with an intermediate that the root has signed. Paths
 * and fields are those of Consul's provider (`agent/connect/ca/provider_vault.go`), so that its policies for Vault fit.
 */
import { Duration, Effect, Schema } from "effect"
import * as GoDuration from "../../../consul/GoDuration.ts"
import type * as CaConfiguration from "../../CaConfiguration.ts"
import type * as Provider from "../Provider.ts"
import * as Requests from "../Requests.ts"
import type * as VaultApi from "./VaultApi.ts"
import type * as VaultSession from "./VaultSession.ts"
import type * as VaultSettings from "./VaultSettings.ts"

export interface VaultPki {
  /** The authority of the root's engine, then what leads from it to a root: PEM. Mounted and made where it is missing. */
  readonly root: Effect.Effect<string, VaultApi.VaultError>
  /** The intermediate that signs leaves: PEM. Empty: there is none yet. Its engine is mounted where it is missing. */
  readonly intermediate: Effect.Effect<string, VaultApi.VaultError>
  /** Another intermediate signs leaves from now on: PEM. */
  readonly renewIntermediate: Effect.Effect<string, VaultApi.VaultError>
  readonly sign: (csr: string, ttl: Duration.Duration) => Effect.Effect<string, VaultApi.VaultError>
  readonly signIntermediate: (csr: string) => Effect.Effect<string, VaultApi.VaultError>
  readonly crossSign: (root: string) => Effect.Effect<string, VaultApi.VaultError>
}

/** The name of the role is Consul's. */
const role = "leaf-cert"

const Certificate = Schema.Struct({ data: Schema.Struct({ certificate: Schema.String }) })
const Csr = Schema.Struct({ data: Schema.Struct({ csr: Schema.String, key_id: Schema.optionalKey(Schema.String) }) })
/** Since Vault 1.11. Before, there is one issuer for each engine, and nothing to say. */
const Imported = Schema.Struct({
  data: Schema.optionalKey(
    Schema.NullOr(Schema.Struct({ mapping: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)) }))
  )
})
const Issuers = Schema.Struct({ data: Schema.Record(Schema.String, Schema.Json) })
const Issuer = Schema.Struct({ data: Schema.Struct({ key_id: Schema.optionalKey(Schema.String) }) })

export const make = (
  api: VaultApi.VaultApi,
  session: VaultSession.VaultSession,
  settings: VaultSettings.VaultSettings,
  mesh: Provider.Mesh,
  config: CaConfiguration.CaConfiguration
): VaultPki => {
  const { intermediate, root } = settings
  const ttl = GoDuration.format
  const at = (
    { namespace, path }: VaultSettings.Mount,
    method: VaultApi.Request["method"],
    what: string,
    body?: VaultApi.Request["body"]
  ): VaultApi.Request => ({ method, path: `${path}/${what}`, namespace, token: session.token(), body })
  /** Of the engine itself. */
  const mounted = ({ namespace, path }: VaultSettings.Mount, what: string, body: VaultApi.Request["body"]) =>
    Effect.suspend(() =>
      api.text({ method: "POST", path: `sys/mounts/${path}${what}`, namespace, token: session.token(), body })
    )
  const write = <A, I>(
    schema: Schema.Codec<A, I>,
    mount: VaultSettings.Mount,
    what: string,
    body: VaultApi.Request["body"]
  ) => Effect.suspend(() => api.json(schema, at(mount, "POST", what, body)))
  const pem = (mount: VaultSettings.Mount, what: string) => Effect.suspend(() => api.text(at(mount, "GET", what)))
  const certificate = (mount: VaultSettings.Mount, what: string, body: VaultApi.Request["body"]) =>
    Effect.map(write(Certificate, mount, what, body), ({ data }) => `${data.certificate.trim()}\n`)
  const named = {
    common_name: Requests.commonName("vault", mesh.trustDomain).replace(/^CN=/, ""),
    uri_sans: `spiffe://${mesh.trustDomain}`,
    key_type: config.key.type,
    key_bits: config.key.bits
  }

  /** The certificate of an engine. `missing` runs where there is no such engine. */
  const current = (mount: VaultSettings.Mount, missing: Effect.Effect<unknown, VaultApi.VaultError>) =>
    pem(mount, "ca/pem").pipe(
      Effect.catchIf(({ status }) => status === 404, () => Effect.as(missing, ""))
    )

  const mountRoot = mounted(root, "", {
    type: "pki",
    description: "root CA backend for Consul Connect",
    config: { max_lease_ttl: ttl(config.rootTtl), default_lease_ttl: ttl(config.rootTtl) }
  })

  const mountIntermediate = mounted(intermediate, "", {
    type: "pki",
    description: "intermediate CA backend for Consul Connect",
    config: { max_lease_ttl: ttl(config.intermediateTtl) }
  })

  /** A token that may not tune an engine is one that others have set up. */
  const tune = mounted(intermediate, "/tune", { max_lease_ttl: ttl(config.intermediateTtl) }).pipe(
    Effect.catchIf(
      ({ status }) => status === 403,
      ({ message }) => Effect.logDebug(`the engine ${intermediate.path} is left as it is: ${message}`)
    )
  )

  const allowLeaves = write(Schema.Json, intermediate, `roles/${role}`, {
    allow_any_name: true,
    allowed_uri_sans: "spiffe://*",
    key_type: "any",
    max_ttl: ttl(config.leafTtl),
    no_store: true,
    require_cn: false,
    // Short lives would otherwise be over for the most part when they begin.
    ...(Duration.isLessThan(config.leafTtl, Duration.hours(1))
      ? { not_before_duration: ttl(Duration.min(Duration.seconds(30), Duration.times(config.leafTtl, 0.1))) }
      : {})
  })

  /** The intermediate of a key is to be the one that signs; what signed before goes. */
  const prefer = Effect.fnUntraced(function*(issuer: string) {
    const { data } = yield* api.json(Issuers, at(intermediate, "GET", "config/issuers"))
    const before = data["default"]
    if (before === issuer) return
    yield* write(Schema.Json, intermediate, "config/issuers", { ...data, default: issuer })
    if (typeof before !== "string" || before === "") return
    yield* Effect.gen(function*() {
      const { data } = yield* api.json(Issuer, at(intermediate, "GET", `issuer/${before}`))
      yield* api.text(at(intermediate, "DELETE", `issuer/${before}`))
      if (data.key_id !== undefined) yield* api.text(at(intermediate, "DELETE", `key/${data.key_id}`))
    }).pipe(
      Effect.catch(({ message }) =>
        Effect.logWarning(`the former intermediate ${before} stays in ${intermediate.path}: ${message}`)
      )
    )
  })

  return {
    root: Effect.gen(function*() {
      const made = yield* current(root, mountRoot)
      const own = made !== "" ? made : yield* certificate(root, "root/generate/internal", named)
      const chain = yield* pem(root, "ca_chain")
      return chain === "" ? own : chain
    }),
    intermediate: Effect.gen(function*() {
      const made = yield* current(intermediate, mountIntermediate)
      if (made !== "") yield* tune
      yield* allowLeaves
      return made
    }),
    renewIntermediate: Effect.gen(function*() {
      const { data } = yield* write(Csr, intermediate, "intermediate/generate/internal", named)
      const signed = yield* certificate(root, "root/sign-intermediate", {
        csr: data.csr,
        use_csr_values: true,
        format: "pem_bundle",
        ttl: ttl(config.intermediateTtl)
      })
      const imported = yield* write(Imported, intermediate, "intermediate/set-signed", { certificate: signed })
      const issuer = Object.entries(imported.data?.mapping ?? {}).find(([, key]) => key !== "" && key === data.key_id)
      if (issuer !== undefined) yield* prefer(issuer[0])
      return yield* pem(intermediate, "ca/pem")
    }),
    sign: (csr, life) => certificate(intermediate, `sign/${role}`, { csr, ttl: ttl(life) }),
    signIntermediate: (csr) =>
      certificate(root, "root/sign-intermediate", {
        csr,
        use_csr_values: true,
        format: "pem_bundle",
        max_path_length: 0,
        ttl: ttl(config.intermediateTtl)
      }),
    crossSign: (subject) => certificate(root, "root/sign-self-issued", { certificate: subject })
  }
}
