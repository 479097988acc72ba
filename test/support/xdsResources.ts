/** The resources by which Consul describes a sidecar, with certificates of the tests' own authority. */
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import { any } from "../../src/xds/proto/Encode.ts"
import type { Message } from "../../src/xds/proto/Messages.ts"
import * as certificates from "./certificates.ts"
import { type Resource, resource } from "./controlPlane.ts"

export interface Identity {
  readonly service: string
  readonly authorities: string
  readonly issued: certificates.Issued
}

export const identity = async (service: string, authority: certificates.Authority): Promise<Identity> => ({
  service,
  authorities: authority.pem,
  issued: await certificates.issue(authority, { uris: [SpiffeId.format(certificates.service(service))] })
})

const common = ({ authorities, issued }: Identity, answers?: string): Message<"tls.CommonTlsContext"> => ({
  tls_params: {},
  tls_certificates: [{
    certificate_chain: { inline_string: issued.chainPem },
    private_key: { inline_string: issued.keyPem }
  }],
  validation_context: {
    trusted_ca: { inline_string: authorities },
    ...(answers === undefined ? {} : {
      match_typed_subject_alt_names: [{
        san_type: "URI",
        matcher: { exact: SpiffeId.format(certificates.service(answers)) }
      }]
    })
  }
})

const address = (port: number): Message<"core.Address"> => ({
  socket_address: { address: "127.0.0.1", port_value: port }
})

const assignment = (name: string, ports: ReadonlyArray<number>): Message<"endpoint.ClusterLoadAssignment"> => ({
  cluster_name: name,
  endpoints: [{
    lb_endpoints: ports.map((port) => ({ endpoint: { address: address(port) }, health_status: "HEALTHY" }))
  }]
})

export const clusterName = (service: string): string => `${service}.default.dc1.internal.${certificates.trustDomain}`

export const localApp = (port: number): Resource =>
  resource("cluster.Cluster", "local_app", {
    name: "local_app",
    type: "STATIC",
    connect_timeout: "5s",
    load_assignment: assignment("local_app", [port])
  })

export const cluster = (
  self: Identity,
  service: string,
  more: Message<"cluster.Cluster"> = {}
): Resource =>
  resource("cluster.Cluster", clusterName(service), {
    name: clusterName(service),
    type: "EDS",
    eds_cluster_config: { eds_config: { ads: {}, resource_api_version: "V3" } },
    connect_timeout: "5s",
    transport_socket: {
      name: "tls",
      typed_config: any("tls.UpstreamTlsContext", {
        common_tls_context: common(self, service),
        sni: clusterName(service)
      })
    },
    ...more
  })

export const instances = (
  service: string,
  ports: ReadonlyArray<number>
): Resource => ({
  type: "endpoint.ClusterLoadAssignment",
  name: clusterName(service),
  message: assignment(clusterName(service), ports)
})

/** `names`: who may call. */
export const allowing = (names: ReadonlyArray<string>): Message<"rbac.RBAC"> => ({
  policies: names.length === 0 ? {} : {
    "consul-intentions-layer4": {
      permissions: [{ any: true }],
      principals: names.map((name) => ({
        authenticated: {
          principal_name: {
            safe_regex: { regex: `^spiffe://${certificates.trustDomain}/ns/default/dc/[^/]+/svc/${name}$` }
          }
        }
      }))
    }
  }
})

export const publicListener = (
  self: Identity,
  port: number,
  rules: Message<"rbac.RBAC">,
  more: Message<"listener.Listener"> = {}
): Resource =>
  resource("listener.Listener", `public_listener:127.0.0.1:${port}`, {
    name: `public_listener:127.0.0.1:${port}`,
    address: address(port),
    traffic_direction: "INBOUND",
    filter_chains: [{
      filters: [
        {
          name: "envoy.filters.network.rbac",
          typed_config: any("network_rbac.RBAC", { stat_prefix: "connect_authz", rules })
        },
        {
          name: "envoy.filters.network.tcp_proxy",
          typed_config: any("tcp_proxy.TcpProxy", { stat_prefix: "public_listener", cluster: "local_app" })
        }
      ],
      transport_socket: {
        name: "tls",
        typed_config: any("tls.DownstreamTlsContext", {
          common_tls_context: common(self),
          require_client_certificate: true
        })
      }
    }],
    ...more
  })

export const upstreamListener = (service: string, port: number): Resource =>
  resource("listener.Listener", `${service}:127.0.0.1:${port}`, {
    name: `${service}:127.0.0.1:${port}`,
    address: address(port),
    traffic_direction: "OUTBOUND",
    filter_chains: [{
      filters: [{
        name: "envoy.filters.network.tcp_proxy",
        typed_config: any("tcp_proxy.TcpProxy", { stat_prefix: "upstream", cluster: clusterName(service) })
      }]
    }]
  })
