/** What each side of a connection in the mesh shows and asks for. */
import type { Mesh } from "../../consul/config/Mesh.ts"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import { any } from "../proto/Encode.ts"
import type { Message } from "../proto/Messages.ts"
import type * as Snapshot from "../Snapshot.ts"
import * as Values from "./Values.ts"

/** For callers from the mesh: everybody with a certificate of it comes in, and is judged by filters. */
export const downstream = (
  credentials: Snapshot.Credentials,
  peers: ReadonlyMap<string, Snapshot.Peer>,
  mesh: Mesh | undefined,
  protocol: string
): Message<"core.TransportSocket"> => ({
  name: "tls",
  typed_config: any("tls.DownstreamTlsContext", {
    common_tls_context: {
      ...common(credentials, mesh?.TLS?.Incoming, callers(credentials, peers)),
      alpn_protocols: Values.isHttp2(protocol) ? ["h2", "http/1.1"] : protocol === "http" ? ["http/1.1"] : undefined
    },
    require_client_certificate: true
  })
})

/** Each authority is held to its own trust domain. Envoy refuses two bundles for one, and the listener with them. */
const callers = (
  { roots, trustDomain }: Snapshot.Credentials,
  peers: ReadonlyMap<string, Snapshot.Peer>
): Message<"tls.CertificateValidationContext"> => {
  const domains = [...Map.groupBy(peers.values(), ({ trustDomain }) => trustDomain)].flatMap(([domain, same]) => {
    const roots = vouched(same)
    // A peer says itself which trust domain it is of. None of them is of ours.
    return domain === trustDomain || roots === "" ? [] : [{ trustDomain: domain, roots }]
  })
  return peers.size === 0 ? trusted(roots) : {
    custom_validator_config: {
      name: "envoy.tls.cert_validator.spiffe",
      typed_config: any("tls.SPIFFECertValidatorConfig", {
        trust_domains: [{ trustDomain, roots }, ...domains].map(({ roots, trustDomain }) => ({
          name: trustDomain,
          trust_bundle: { inline_string: roots }
        }))
      })
    }
  }
}

/** What all peers of a trust domain vouch with: one of them could name callers of another otherwise. */
const vouched = ([first, ...rest]: ReadonlyArray<Snapshot.Peer>): string =>
  pems(first?.roots ?? "").filter((root) => rest.every(({ roots }) => pems(roots).includes(root))).join("")

const pems = (text: string): ReadonlyArray<string> => text.split(/(?<=-----END CERTIFICATE-----\n?)(?=-----BEGIN)/)

const trusted = (roots: string): Message<"tls.CertificateValidationContext"> => ({
  trusted_ca: { inline_string: roots }
})

export interface Callee {
  readonly service: string
  readonly datacenter: string
  readonly sni: string
  /** In another cluster: whom it trusts, and who answers there. */
  readonly peer: { readonly roots: string; readonly identities: ReadonlyArray<string> } | undefined
}

/** To a service: nobody else may answer. */
export const upstream = (
  credentials: Snapshot.Credentials,
  mesh: Mesh | undefined,
  { datacenter, peer, service, sni }: Callee
): Message<"core.TransportSocket"> => {
  const { trustDomain } = credentials
  const identities = peer?.identities ?? [SpiffeId.format(SpiffeId.service({ trustDomain, datacenter, service }))]
  return {
    name: "tls",
    typed_config: any("tls.UpstreamTlsContext", {
      common_tls_context: common(credentials, mesh?.TLS?.Outgoing, {
        ...trusted(peer?.roots ?? credentials.roots),
        match_typed_subject_alt_names: identities.map((exact) => ({ san_type: "URI", matcher: { exact } }))
      }),
      sni
    })
  }
}

const common = (
  { certificate, key }: Snapshot.Credentials,
  parameters: Parameters | undefined,
  validation_context: Message<"tls.CertificateValidationContext">
): Message<"tls.CommonTlsContext"> => ({
  tls_params: parametersOf(parameters),
  tls_certificates: [{ certificate_chain: { inline_string: certificate }, private_key: { inline_string: key } }],
  validation_context
})

type Parameters = NonNullable<NonNullable<Mesh["TLS"]>["Incoming"]>
type Protocol = Message<"tls.TlsParameters.TlsProtocol">

const parametersOf = (said: Parameters | undefined): Message<"tls.TlsParameters"> => ({
  // The agent refuses any other text.
  tls_minimum_protocol_version: (said?.TLSMinVersion || undefined) as Protocol | undefined,
  tls_maximum_protocol_version: (said?.TLSMaxVersion || undefined) as Protocol | undefined,
  cipher_suites: Values.some((said?.CipherSuites ?? []).map(cipherSuite))
})

/** `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` as OpenSSL calls it: `ECDHE-RSA-AES128-GCM-SHA256`. */
const cipherSuite = (name: string): string =>
  name.replace(/^TLS_/, "").replace(/^RSA_WITH_/, "").replace("_WITH_", "_").replace(/AES_(\d+)/, "AES$1")
    .replace("_CBC_SHA", "_SHA").replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305").replaceAll("_", "-")
