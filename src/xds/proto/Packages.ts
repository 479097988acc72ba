/** Short names of the packages that messages come from. The definitions beside this file write `core.Address`. */
export const packages = {
  discovery: "envoy.service.discovery.v3",
  core: "envoy.config.core.v3",
  type: "envoy.type.v3",
  matcher: "envoy.type.matcher.v3",
  listener: "envoy.config.listener.v3",
  route: "envoy.config.route.v3",
  cluster: "envoy.config.cluster.v3",
  endpoint: "envoy.config.endpoint.v3",
  accesslog: "envoy.config.accesslog.v3",
  rbac: "envoy.config.rbac.v3",
  tls: "envoy.extensions.transport_sockets.tls.v3",
  hcm: "envoy.extensions.filters.network.http_connection_manager.v3",
  tcp_proxy: "envoy.extensions.filters.network.tcp_proxy.v3",
  network_rbac: "envoy.extensions.filters.network.rbac.v3",
  connection_limit: "envoy.extensions.filters.network.connection_limit.v3",
  sni_cluster: "envoy.extensions.filters.network.sni_cluster.v3",
  http_rbac: "envoy.extensions.filters.http.rbac.v3",
  jwt: "envoy.extensions.filters.http.jwt_authn.v3",
  header_to_metadata: "envoy.extensions.filters.http.header_to_metadata.v3",
  grpc_stats: "envoy.extensions.filters.http.grpc_stats.v3",
  grpc_bridge: "envoy.extensions.filters.http.grpc_http1_bridge.v3",
  local_ratelimit: "envoy.extensions.filters.http.local_ratelimit.v3",
  router: "envoy.extensions.filters.http.router.v3",
  tls_inspector: "envoy.extensions.filters.listener.tls_inspector.v3",
  original_dst: "envoy.extensions.filters.listener.original_dst.v3",
  http_inspector: "envoy.extensions.filters.listener.http_inspector.v3",
  stream_log: "envoy.extensions.access_loggers.stream.v3",
  file_log: "envoy.extensions.access_loggers.file.v3",
  aggregate: "envoy.extensions.clusters.aggregate.v3",
  upstream_http: "envoy.extensions.upstreams.http.v3",
  rpc: "google.rpc",
  consul_acl: "hashicorp.consul.acl",
  consul_dataplane: "hashicorp.consul.dataplane",
  consul_servers: "hashicorp.consul.serverdiscovery"
} as const

/** Well-known types, by the last part of their names. */
export const wellKnown = new Set([
  "Any",
  "Duration",
  "Struct",
  "Value",
  "Empty",
  "Timestamp",
  "BoolValue",
  "UInt32Value",
  "UInt64Value",
  "DoubleValue",
  "StringValue"
])

/** `core.Address` as it stands on the wire: `envoy.config.core.v3.Address`. */
export const fullName = (name: string): string => {
  if (wellKnown.has(name)) return `google.protobuf.${name}`
  const dot = name.indexOf(".")
  return `${(packages as Record<string, string>)[name.slice(0, dot)]}.${name.slice(dot + 1)}`
}
