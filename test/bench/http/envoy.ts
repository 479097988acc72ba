/**
 * Static configurations for Envoy that do what Consul configures a sidecar to do, for one service of protocol http (or http2
 * between the two sidecars) with no entries but its protocol, where everything is allowed: listeners, filters and clusters as recorded in
 * `test/fixtures/parity`, with the instances given in place of a discovery service.
 */
import type * as Pair from "../relay/Pair.ts"

/** What the two sidecars speak to each other. */
export type Between = "http/1.1" | "h2"

export interface Options {
  readonly between: Between
  readonly port: number
  /** The SPIFFE id that the inbound side has to show, and its name for SNI. */
  readonly peer: { readonly uri: string; readonly sni: string }
}

/** What follows a name, with the type that Envoy wants to be told. */
const extension = (name: string, type: string, config: object = {}) => ({
  name,
  typed_config: { "@type": `type.googleapis.com/envoy.extensions.${type}`, ...config }
})

const router = extension("envoy.filters.http.router", "filters.http.router.v3.Router")

/** Consul has this prepared for policies that ask about the caller, whether there are any or not. */
const callerToMetadata = () => {
  const [anything, word] = ["[^/]+", "([^/]+)"]
  const regex = `.*URI=spiffe://(${anything}.${anything})(?:/ap/${word})?/ns/${word}/dc/${word}/svc/([^/;,]+).*`
  const rule = (key: string, index: number) => ({
    header: "x-forwarded-client-cert",
    on_header_present: {
      metadata_namespace: "consul",
      key,
      regex_value_rewrite: { pattern: { regex }, substitution: `\\${index + 1}` }
    }
  })
  return extension("envoy.filters.http.header_to_metadata", "filters.http.header_to_metadata.v3.Config", {
    request_rules: ["trust-domain", "partition", "namespace", "datacenter", "service"].map(rule)
  })
}

/** A list of denials without an entry: what an allowing default policy comes to. */
const nobodyDenied = extension("envoy.filters.http.rbac", "filters.http.rbac.v3.RBAC", { rules: { action: "DENY" } })

const connectionManager = (name: string, cluster: string, more: object) =>
  extension(
    "envoy.filters.network.http_connection_manager",
    "filters.network.http_connection_manager.v3.HttpConnectionManager",
    {
      stat_prefix: name,
      route_config: {
        name,
        virtual_hosts: [{ name, domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster } }] }]
      },
      tracing: { random_sampling: {} },
      upgrade_configs: [{ upgrade_type: "websocket" }],
      ...more
    }
  )

const certificates = (side: Pair.Side, names: object = {}) => ({
  tls_params: {},
  tls_certificates: [
    { certificate_chain: { inline_string: side.chainPem }, private_key: { inline_string: side.keyPem } }
  ],
  validation_context: { trusted_ca: { inline_string: side.rootPem }, ...names }
})

const loopback = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } })

const cluster = (name: string, port: number, more: object = {}) => ({
  name,
  type: "STATIC",
  connect_timeout: "5s",
  load_assignment: {
    cluster_name: name,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: loopback(port) } }] }]
  },
  ...more
})

const inbound = (side: Pair.Side, { between, port }: Options) => ({
  listeners: [{
    name: "public_listener",
    address: loopback(port),
    traffic_direction: "INBOUND",
    filter_chains: [{
      filters: [
        connectionManager("public_listener", "local_app", {
          http_filters: [nobodyDenied, callerToMetadata(), router],
          forward_client_cert_details: "APPEND_FORWARD",
          set_current_client_cert_details: { subject: true, cert: true, chain: true, dns: true, uri: true },
          normalize_path: true,
          ...(between === "h2" ? { http2_protocol_options: {} } : {})
        })
      ],
      transport_socket: extension("tls", "transport_sockets.tls.v3.DownstreamTlsContext", {
        common_tls_context: {
          ...certificates(side),
          alpn_protocols: between === "h2" ? ["h2", "http/1.1"] : ["http/1.1"]
        },
        require_client_certificate: true
      })
    }]
  }],
  clusters: [cluster("local_app", side.target)]
})

const outbound = (side: Pair.Side, { between, peer, port }: Options) => ({
  listeners: [{
    name: "api",
    address: loopback(port),
    traffic_direction: "OUTBOUND",
    filter_chains: [{ filters: [connectionManager("upstream.api", "api", { http_filters: [router] })] }]
  }],
  clusters: [
    cluster("api", side.target, {
      circuit_breakers: {},
      outlier_detection: { enforcing_consecutive_5xx: 0 },
      common_lb_config: { healthy_panic_threshold: {} },
      transport_socket: extension("tls", "transport_sockets.tls.v3.UpstreamTlsContext", {
        common_tls_context: certificates(side, {
          match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: peer.uri } }]
        }),
        sni: peer.sni
      }),
      ...(between === "h2"
        ? {
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              explicit_http_config: { http2_protocol_options: {} }
            }
          }
        }
        : {})
    })
  ]
})

/** What Envoy starts from: JSON. */
export const config = (side: Pair.Side, options: Options): string =>
  configOf(side, side.role === "inbound" ? inbound(side, options) : outbound(side, options))

const configOf = (side: Pair.Side, resources: object): string =>
  JSON.stringify({
    node: { id: `${side.role}-sidecar-proxy`, cluster: side.role },
    static_resources: resources
  })

/** The same for bytes, where nothing of the protocol is known. `uri`: as `Options.peer`. */
export const tcpConfig = (side: Pair.Side, port: number, uri: string): string => {
  const isInbound = side.role === "inbound"
  const relayed = isInbound ? "local_app" : "api"
  return configOf(side, {
    listeners: [{
      name: relayed,
      address: loopback(port),
      filter_chains: [{
        filters: [
          ...(isInbound
            ? [extension("envoy.filters.network.rbac", "filters.network.rbac.v3.RBAC", {
              rules: { action: "DENY" },
              stat_prefix: "connect_authz"
            })]
            : []),
          extension("envoy.filters.network.tcp_proxy", "filters.network.tcp_proxy.v3.TcpProxy", {
            stat_prefix: relayed,
            cluster: relayed
          })
        ],
        ...(isInbound
          ? {
            transport_socket: extension("tls", "transport_sockets.tls.v3.DownstreamTlsContext", {
              common_tls_context: certificates(side),
              require_client_certificate: true
            })
          }
          : {})
      }]
    }],
    clusters: [
      cluster(
        relayed,
        side.target,
        isInbound ? {} : {
          transport_socket: extension("tls", "transport_sockets.tls.v3.UpstreamTlsContext", {
            common_tls_context: certificates(side, {
              match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: uri } }]
            })
          })
        }
      )
    ]
  })
}

/** As Consul starts it, with one worker. */
export const args = (file: string): ReadonlyArray<string> => [
  "-c",
  file,
  "--concurrency",
  "1",
  "--disable-hot-restart",
  "-l",
  "error"
]
