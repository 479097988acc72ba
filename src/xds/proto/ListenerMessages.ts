/** Listeners and what they do with bytes (`envoy/config/listener/v3`, network filters, access logs). */
export const listener = {
  "listener.Listener": {
    name: "1 string",
    address: "2 core.Address",
    stat_prefix: "28 string",
    filter_chains: "3 repeated listener.FilterChain",
    use_original_dst: "4 BoolValue",
    default_filter_chain: "25 listener.FilterChain",
    per_connection_buffer_limit_bytes: "5 UInt32Value",
    metadata: "6 core.Metadata",
    listener_filters: "9 repeated listener.ListenerFilter",
    listener_filters_timeout: "15 Duration",
    continue_on_listener_filters_timeout: "17 bool",
    traffic_direction: "16 core.TrafficDirection",
    connection_balance_config: "20 listener.Listener.ConnectionBalanceConfig",
    enable_reuse_port: "29 BoolValue",
    access_log: "22 repeated accesslog.AccessLog",
    bind_to_port: "26 BoolValue"
  },
  "listener.Listener.ConnectionBalanceConfig": {
    exact_balance: "1 listener.Listener.ConnectionBalanceConfig.ExactBalance in balance_type"
  },
  "listener.Listener.ConnectionBalanceConfig.ExactBalance": {},
  "listener.ListenerFilter": { name: "1 string", typed_config: "3 Any in config_type" },
  "listener.Filter": { name: "1 string", typed_config: "4 Any in config_type" },
  "listener.FilterChain": {
    filter_chain_match: "1 listener.FilterChainMatch",
    filters: "3 repeated listener.Filter",
    metadata: "5 core.Metadata",
    transport_socket: "6 core.TransportSocket",
    transport_socket_connect_timeout: "9 Duration",
    name: "7 string"
  },
  "listener.FilterChainMatch": {
    destination_port: "8 UInt32Value",
    prefix_ranges: "3 repeated core.CidrRange",
    source_prefix_ranges: "6 repeated core.CidrRange",
    source_ports: "7 repeated uint32",
    server_names: "11 repeated string",
    transport_protocol: "9 string",
    application_protocols: "10 repeated string"
  },
  "tls_inspector.TlsInspector": { enable_ja3_fingerprinting: "1 BoolValue" },
  "original_dst.OriginalDst": {},
  "http_inspector.HttpInspector": {},
  "tcp_proxy.TcpProxy": {
    stat_prefix: "1 string",
    cluster: "2 string in cluster_specifier",
    weighted_clusters: "10 tcp_proxy.TcpProxy.WeightedCluster in cluster_specifier",
    metadata_match: "9 core.Metadata",
    idle_timeout: "8 Duration",
    access_log: "5 repeated accesslog.AccessLog",
    max_connect_attempts: "7 UInt32Value",
    hash_policy: "11 repeated type.HashPolicy",
    max_downstream_connection_duration: "13 Duration"
  },
  "tcp_proxy.TcpProxy.WeightedCluster": { clusters: "1 repeated tcp_proxy.TcpProxy.WeightedCluster.ClusterWeight" },
  "tcp_proxy.TcpProxy.WeightedCluster.ClusterWeight": {
    name: "1 string",
    weight: "2 uint32",
    metadata_match: "3 core.Metadata"
  },
  "sni_cluster.SniCluster": {},
  "connection_limit.ConnectionLimit": {
    stat_prefix: "1 string",
    max_connections: "2 UInt64Value",
    delay: "3 Duration",
    runtime_enabled: "4 core.RuntimeFeatureFlag"
  },
  "accesslog.AccessLog": {
    name: "1 string",
    filter: "2 accesslog.AccessLogFilter",
    typed_config: "4 Any in config_type"
  },
  "accesslog.AccessLogFilter": { response_flag_filter: "9 accesslog.ResponseFlagFilter in filter_specifier" },
  "accesslog.ResponseFlagFilter": { flags: "1 repeated string" },
  "stream_log.StdoutAccessLog": { log_format: "1 core.SubstitutionFormatString in access_log_format" },
  "stream_log.StderrAccessLog": { log_format: "1 core.SubstitutionFormatString in access_log_format" },
  "file_log.FileAccessLog": { path: "1 string", log_format: "5 core.SubstitutionFormatString in access_log_format" }
} as const
