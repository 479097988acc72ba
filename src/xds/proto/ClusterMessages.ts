/** Who can be reached, and how (`envoy/config/cluster/v3`, `envoy/config/endpoint/v3`). */
export const cluster = {
  "cluster.Cluster": {
    name: "1 string",
    alt_stat_name: "28 string",
    type: "2 cluster.Cluster.DiscoveryType in cluster_discovery_type",
    cluster_type: "38 cluster.Cluster.CustomClusterType in cluster_discovery_type",
    eds_cluster_config: "3 cluster.Cluster.EdsClusterConfig",
    connect_timeout: "4 Duration",
    per_connection_buffer_limit_bytes: "5 UInt32Value",
    lb_policy: "6 cluster.Cluster.LbPolicy",
    load_assignment: "33 endpoint.ClusterLoadAssignment",
    max_requests_per_connection: "9 UInt32Value",
    circuit_breakers: "10 cluster.CircuitBreakers",
    http2_protocol_options: "14 core.Http2ProtocolOptions",
    typed_extension_protocol_options: "36 map Any",
    dns_refresh_rate: "16 Duration",
    respect_dns_ttl: "39 bool",
    dns_lookup_family: "17 cluster.Cluster.DnsLookupFamily",
    wait_for_warm_on_init: "54 BoolValue",
    outlier_detection: "19 cluster.OutlierDetection",
    cleanup_interval: "20 Duration",
    ring_hash_lb_config: "23 cluster.Cluster.RingHashLbConfig in lb_config",
    maglev_lb_config: "52 cluster.Cluster.MaglevLbConfig in lb_config",
    original_dst_lb_config: "34 cluster.Cluster.OriginalDstLbConfig in lb_config",
    least_request_lb_config: "37 cluster.Cluster.LeastRequestLbConfig in lb_config",
    round_robin_lb_config: "56 cluster.Cluster.RoundRobinLbConfig in lb_config",
    common_lb_config: "27 cluster.Cluster.CommonLbConfig",
    transport_socket: "24 core.TransportSocket",
    transport_socket_matches: "43 repeated cluster.Cluster.TransportSocketMatch",
    metadata: "25 core.Metadata",
    protocol_selection: "26 cluster.Cluster.ClusterProtocolSelection",
    upstream_connection_options: "30 cluster.UpstreamConnectionOptions",
    close_connections_on_host_health_failure: "31 bool",
    ignore_health_on_host_removal: "32 bool"
  },
  "cluster.Cluster.DiscoveryType": { STATIC: 0, STRICT_DNS: 1, LOGICAL_DNS: 2, EDS: 3, ORIGINAL_DST: 4 },
  "cluster.Cluster.LbPolicy": {
    ROUND_ROBIN: 0,
    LEAST_REQUEST: 1,
    RING_HASH: 2,
    RANDOM: 3,
    MAGLEV: 5,
    CLUSTER_PROVIDED: 6,
    LOAD_BALANCING_POLICY_CONFIG: 7
  },
  "cluster.Cluster.DnsLookupFamily": { AUTO: 0, V4_ONLY: 1, V6_ONLY: 2, V4_PREFERRED: 3, ALL: 4 },
  "cluster.Cluster.ClusterProtocolSelection": { USE_CONFIGURED_PROTOCOL: 0, USE_DOWNSTREAM_PROTOCOL: 1 },
  "cluster.Cluster.TransportSocketMatch": {
    name: "1 string",
    match: "2 Struct",
    transport_socket: "3 core.TransportSocket"
  },
  "cluster.Cluster.CustomClusterType": { name: "1 string", typed_config: "2 Any" },
  "cluster.Cluster.EdsClusterConfig": { eds_config: "1 core.ConfigSource", service_name: "2 string" },
  "cluster.Cluster.SlowStartConfig": {
    slow_start_window: "1 Duration",
    aggression: "2 core.RuntimeDouble",
    min_weight_percent: "3 type.Percent"
  },
  "cluster.Cluster.RoundRobinLbConfig": { slow_start_config: "1 cluster.Cluster.SlowStartConfig" },
  "cluster.Cluster.LeastRequestLbConfig": {
    choice_count: "1 UInt32Value",
    active_request_bias: "2 core.RuntimeDouble",
    slow_start_config: "3 cluster.Cluster.SlowStartConfig"
  },
  "cluster.Cluster.RingHashLbConfig": {
    minimum_ring_size: "1 UInt64Value",
    hash_function: "3 cluster.Cluster.RingHashLbConfig.HashFunction",
    maximum_ring_size: "4 UInt64Value"
  },
  "cluster.Cluster.RingHashLbConfig.HashFunction": { XX_HASH: 0, MURMUR_HASH_2: 1 },
  "cluster.Cluster.MaglevLbConfig": { table_size: "1 UInt64Value" },
  "cluster.Cluster.OriginalDstLbConfig": { use_http_header: "1 bool" },
  "cluster.Cluster.CommonLbConfig": {
    healthy_panic_threshold: "1 type.Percent",
    zone_aware_lb_config: "2 cluster.Cluster.CommonLbConfig.ZoneAwareLbConfig in locality_config_specifier",
    locality_weighted_lb_config:
      "3 cluster.Cluster.CommonLbConfig.LocalityWeightedLbConfig in locality_config_specifier",
    update_merge_window: "4 Duration",
    ignore_new_hosts_until_first_hc: "5 bool",
    close_connections_on_host_set_change: "6 bool",
    override_host_status: "8 core.HealthStatusSet"
  },
  "cluster.Cluster.CommonLbConfig.ZoneAwareLbConfig": {
    routing_enabled: "1 type.Percent",
    min_cluster_size: "2 UInt64Value",
    fail_traffic_on_panic: "3 bool"
  },
  "cluster.Cluster.CommonLbConfig.LocalityWeightedLbConfig": {},
  "cluster.UpstreamConnectionOptions": {
    tcp_keepalive: "1 core.TcpKeepalive",
    set_local_interface_name_on_upstream_connections: "2 bool"
  },
  "cluster.CircuitBreakers": {
    thresholds: "1 repeated cluster.CircuitBreakers.Thresholds",
    per_host_thresholds: "2 repeated cluster.CircuitBreakers.Thresholds"
  },
  "cluster.CircuitBreakers.Thresholds": {
    priority: "1 core.RoutingPriority",
    max_connections: "2 UInt32Value",
    max_pending_requests: "3 UInt32Value",
    max_requests: "4 UInt32Value",
    max_retries: "5 UInt32Value",
    retry_budget: "8 cluster.CircuitBreakers.Thresholds.RetryBudget",
    track_remaining: "6 bool",
    max_connection_pools: "7 UInt32Value"
  },
  "cluster.CircuitBreakers.Thresholds.RetryBudget": {
    budget_percent: "1 type.Percent",
    min_retry_concurrency: "2 UInt32Value"
  },
  "cluster.OutlierDetection": {
    consecutive_5xx: "1 UInt32Value",
    interval: "2 Duration",
    base_ejection_time: "3 Duration",
    max_ejection_percent: "4 UInt32Value",
    enforcing_consecutive_5xx: "5 UInt32Value",
    enforcing_success_rate: "6 UInt32Value",
    success_rate_minimum_hosts: "7 UInt32Value",
    success_rate_request_volume: "8 UInt32Value",
    success_rate_stdev_factor: "9 UInt32Value",
    consecutive_gateway_failure: "10 UInt32Value",
    enforcing_consecutive_gateway_failure: "11 UInt32Value",
    split_external_local_origin_errors: "12 bool",
    consecutive_local_origin_failure: "13 UInt32Value",
    enforcing_consecutive_local_origin_failure: "14 UInt32Value",
    enforcing_local_origin_success_rate: "15 UInt32Value",
    failure_percentage_threshold: "16 UInt32Value",
    enforcing_failure_percentage: "17 UInt32Value",
    max_ejection_time: "21 Duration",
    max_ejection_time_jitter: "22 Duration"
  },
  "aggregate.ClusterConfig": { clusters: "1 repeated string" },
  "upstream_http.HttpProtocolOptions": {
    common_http_protocol_options: "1 core.HttpProtocolOptions",
    upstream_http_protocol_options: "2 core.UpstreamHttpProtocolOptions",
    explicit_http_config: "3 upstream_http.HttpProtocolOptions.ExplicitHttpConfig in upstream_protocol_options",
    use_downstream_protocol_config:
      "4 upstream_http.HttpProtocolOptions.UseDownstreamHttpConfig in upstream_protocol_options"
  },
  "upstream_http.HttpProtocolOptions.ExplicitHttpConfig": {
    http_protocol_options: "1 core.Http1ProtocolOptions in protocol_config",
    http2_protocol_options: "2 core.Http2ProtocolOptions in protocol_config"
  },
  "upstream_http.HttpProtocolOptions.UseDownstreamHttpConfig": {
    http_protocol_options: "1 core.Http1ProtocolOptions",
    http2_protocol_options: "2 core.Http2ProtocolOptions"
  },
  "endpoint.ClusterLoadAssignment": {
    cluster_name: "1 string",
    endpoints: "2 repeated endpoint.LocalityLbEndpoints",
    policy: "4 endpoint.ClusterLoadAssignment.Policy"
  },
  "endpoint.ClusterLoadAssignment.Policy": { overprovisioning_factor: "3 UInt32Value" },
  "endpoint.LocalityLbEndpoints": {
    locality: "1 core.Locality",
    lb_endpoints: "2 repeated endpoint.LbEndpoint",
    load_balancing_weight: "3 UInt32Value",
    priority: "5 uint32"
  },
  "endpoint.LbEndpoint": {
    endpoint: "1 endpoint.Endpoint in host_identifier",
    health_status: "2 core.HealthStatus",
    metadata: "3 core.Metadata",
    load_balancing_weight: "4 UInt32Value"
  },
  "endpoint.Endpoint": { address: "1 core.Address", hostname: "3 string" }
} as const
