/** What an Envoy starts with: who it is, where it asks for everything else, and where operators ask it. */
import type { Schema } from "effect"

export interface Options {
  /** Its id in the agent. */
  readonly proxyId: string
  /** The service it is the proxy of, or the name of the gateway. */
  readonly service: string
  readonly datacenter: string
  readonly grpc: Address
  readonly admin: Address
  readonly adminAccessLog: string
  /** Empty: none. */
  readonly token: string
  /** PEM of authorities that may have signed the certificate of the gRPC port. Undefined: it is asked without TLS. */
  readonly grpcAuthority?: string | undefined
}

export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

const agentCluster = "local_agent"

export const make = (options: Options): Schema.JsonObject => ({
  admin: {
    access_log: [{
      name: "envoy.access_loggers.file",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        path: options.adminAccessLog
      }
    }],
    address: addressOf(options.admin)
  },
  node: {
    cluster: options.service,
    id: options.proxyId,
    metadata: { namespace: "default", partition: "default" }
  },
  // Expressions of intentions and routes may be long.
  layered_runtime: {
    layers: [{ name: "base", static_layer: { "re2.max_program_size.error_level": 1_048_576 } }]
  },
  static_resources: {
    clusters: [{
      name: agentCluster,
      ignore_health_on_host_removal: false,
      connect_timeout: "1s",
      type: "STATIC",
      ...(options.grpcAuthority !== undefined && {
        transport_socket: {
          name: "tls",
          typed_config: {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            common_tls_context: {
              validation_context: { trusted_ca: { inline_string: options.grpcAuthority } }
            }
          }
        }
      }),
      typed_extension_protocol_options: {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
          "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
          explicit_http_config: { http2_protocol_options: {} }
        }
      },
      load_assignment: {
        cluster_name: agentCluster,
        endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(options.grpc) } }] }]
      }
    }]
  },
  stats_config: {
    stats_tags: [
      ...["consul.destination.service", "local_cluster"].map((name) => ({
        tag_name: name,
        fixed_value: options.service
      })),
      { tag_name: "consul.source.datacenter", fixed_value: options.datacenter }
    ],
    use_all_default_tags: true
  },
  dynamic_resources: {
    lds_config: ads,
    cds_config: ads,
    ads_config: {
      api_type: "DELTA_GRPC",
      transport_api_version: "V3",
      grpc_services: [{
        initial_metadata: [{ key: "x-consul-token", value: options.token }],
        envoy_grpc: { cluster_name: agentCluster }
      }]
    }
  }
})

const ads = { ads: {}, resource_api_version: "V3", initial_fetch_timeout: "0s" }

const addressOf = (address: Address): Schema.JsonObject =>
  "path" in address
    ? { pipe: { path: address.path } }
    : { socket_address: { address: address.host, port_value: address.port } }
