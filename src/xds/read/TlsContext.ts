/** Certificates, keys and authorities of one side of TLS, as clusters and listeners carry them. */
import { Result } from "effect"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as Fields from "./Fields.ts"
import * as Matchers from "./Matchers.ts"

export interface TlsContext {
  /** PEM. Empty: there is none here. */
  readonly certificate: string
  readonly key: string
  /** PEM, one after the other, by the trust domain of those whose certificates they sign; `""`: all. */
  readonly authorities: ReadonlyMap<string, string>
  /** Who may answer. Empty: nobody is named. */
  readonly identities: ReadonlyArray<SpiffeId.Service>
  readonly sni: string
}

/** A `TransportSocket`. Undefined: it is not TLS as Consul has it, which is noted. */
export const read = (socket: Fields.Fields, side: "Upstream" | "Downstream"): TlsContext | undefined => {
  socket.skip("name")
  const context = socket.one("typed_config")
  if (context === undefined || context.type() !== `envoy.extensions.transport_sockets.tls.v3.${side}TlsContext`) {
    socket.flaw("it is not TLS")
    return undefined
  }
  const common = context.one("common_tls_context")
  if (common === undefined) {
    context.flaw("it has no certificates")
    return undefined
  }
  // Versions and ciphers of our own are stricter, or the same.
  common.skip("tls_params", "alpn_protocols")
  if (side === "Downstream" && !context.flag("require_client_certificate")) {
    context.flaw("it does not require certificates of clients")
  }
  const [own, ...others] = common.many("tls_certificates")
  if (others.length > 0) common.flaw("it has several certificates")
  const validation = common.one("validation_context")
  return {
    certificate: own === undefined ? "" : source(own.one("certificate_chain")),
    key: own === undefined ? "" : source(own.one("private_key")),
    authorities: validation === undefined ? new Map() : authorities(validation),
    identities: validation === undefined ? [] : identities(validation),
    sni: side === "Upstream" ? context.text("sni") : ""
  }
}

/** A `DataSource` that has its data with it. */
export const source = (fields: Fields.Fields | undefined): string => {
  if (fields === undefined) return ""
  switch (fields.which("inline_string", "inline_bytes")) {
    case "inline_string":
      return fields.text("inline_string")
    case "inline_bytes":
      return Buffer.from(fields.text("inline_bytes"), "base64").toString("utf8")
    case undefined:
      return ""
  }
}

const authorities = (validation: Fields.Fields): ReadonlyMap<string, string> => {
  const all = validation.one("trusted_ca")
  if (all !== undefined) return new Map([["", source(all)]])
  const validator = validation.one("custom_validator_config")
  validator?.skip("name")
  const config = validator?.one("typed_config")
  if (config === undefined || config.type() !== "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig") {
    return new Map()
  }
  return new Map(
    config.many("trust_domains").map((domain) => [
      domain.text("name").toLowerCase(),
      source(domain.one("trust_bundle"))
    ])
  )
}

/** Older servers say it without the kind of name. */
const identities = (validation: Fields.Fields): ReadonlyArray<SpiffeId.Service> => [
  ...validation.many("match_typed_subject_alt_names").flatMap((fields) => {
    if (fields.text("san_type") !== "URI") fields.flaw("it is no URI")
    return service(fields.one("matcher"))
  }),
  ...validation.many("match_subject_alt_names").flatMap(service)
]

const service = (matcher: Fields.Fields | undefined): ReadonlyArray<SpiffeId.Service> => {
  const match = matcher === undefined ? undefined : Matchers.text(matcher)
  const identity = match?.kind === "Exact" && !match.ignoreCase
    ? Result.getOrUndefined(SpiffeId.parse(match.text))
    : undefined
  if (identity?._tag === "Service") return [identity]
  matcher?.flaw("it names no service")
  return []
}
