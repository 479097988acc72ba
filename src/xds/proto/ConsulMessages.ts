/** What proxies ask Consul's servers besides their configuration: `hashicorp.consul.acl`, `.dataplane`, `.serverdiscovery`. */
export const consul = {
  "consul_acl.LoginRequest": {
    auth_method: "1 string",
    bearer_token: "2 string",
    meta: "3 map string",
    namespace: "4 string",
    partition: "5 string",
    datacenter: "6 string"
  },
  "consul_acl.LoginResponse": { token: "1 consul_acl.LoginToken" },
  "consul_acl.LoginToken": { accessor_id: "1 string", secret_id: "2 string" },
  "consul_acl.LogoutRequest": { token: "1 string", datacenter: "2 string" },
  "consul_acl.LogoutResponse": {},
  "consul_dataplane.GetEnvoyBootstrapParamsRequest": {
    node_id: "1 string in node_spec",
    node_name: "2 string in node_spec",
    service_id: "3 string",
    partition: "4 string",
    namespace: "5 string",
    proxy_id: "6 string"
  },
  "consul_dataplane.ServiceKind": {
    SERVICE_KIND_UNSPECIFIED: 0,
    SERVICE_KIND_TYPICAL: 1,
    SERVICE_KIND_CONNECT_PROXY: 2,
    SERVICE_KIND_MESH_GATEWAY: 3,
    SERVICE_KIND_TERMINATING_GATEWAY: 4,
    SERVICE_KIND_INGRESS_GATEWAY: 5,
    SERVICE_KIND_API_GATEWAY: 6
  },
  "consul_dataplane.GetEnvoyBootstrapParamsResponse": {
    service_kind: "1 consul_dataplane.ServiceKind",
    service: "2 string",
    namespace: "3 string",
    partition: "4 string",
    datacenter: "5 string",
    config: "6 Struct",
    node_id: "7 string",
    node_name: "8 string",
    access_logs: "9 repeated string",
    identity: "10 string"
  },
  "consul_servers.WatchServersRequest": { wan: "1 bool" },
  "consul_servers.WatchServersResponse": { servers: "1 repeated consul_servers.Server" },
  "consul_servers.Server": { id: "1 string", address: "2 string", version: "3 string" }
} as const
