/** What everything else is made of (`envoy/config/core/v3`, `envoy/type`). */
export const core = {
  "core.RoutingPriority": { DEFAULT: 0, HIGH: 1 },
  "core.TrafficDirection": { UNSPECIFIED: 0, INBOUND: 1, OUTBOUND: 2 },
  "core.HealthStatus": { UNKNOWN: 0, HEALTHY: 1, UNHEALTHY: 2, DRAINING: 3, TIMEOUT: 4, DEGRADED: 5 },
  "core.HealthStatusSet": { statuses: "1 repeated core.HealthStatus" },
  "core.Locality": { region: "1 string", zone: "2 string", sub_zone: "3 string" },
  "core.BuildVersion": { version: "1 type.SemanticVersion", metadata: "2 Struct" },
  "core.Extension": {
    name: "1 string",
    category: "2 string",
    type_descriptor: "3 string",
    version: "4 core.BuildVersion",
    disabled: "5 bool",
    type_urls: "6 repeated string"
  },
  "core.Node": {
    id: "1 string",
    cluster: "2 string",
    metadata: "3 Struct",
    locality: "4 core.Locality",
    user_agent_name: "6 string",
    user_agent_version: "7 string in user_agent_version_type",
    user_agent_build_version: "8 core.BuildVersion in user_agent_version_type",
    extensions: "9 repeated core.Extension",
    client_features: "10 repeated string",
    listening_addresses: "11 repeated core.Address"
  },
  "core.ControlPlane": { identifier: "1 string" },
  "core.Metadata": { filter_metadata: "1 map Struct", typed_filter_metadata: "2 map Any" },
  "core.RuntimeUInt32": { default_value: "2 uint32", runtime_key: "3 string" },
  "core.RuntimeDouble": { default_value: "1 double", runtime_key: "2 string" },
  "core.RuntimeFeatureFlag": { default_value: "1 BoolValue", runtime_key: "2 string" },
  "core.RuntimeFractionalPercent": { default_value: "1 type.FractionalPercent", runtime_key: "2 string" },
  "core.HeaderValue": { key: "1 string", value: "2 string", raw_value: "3 bytes" },
  "core.HeaderValueOption": {
    header: "1 core.HeaderValue",
    append: "2 BoolValue",
    append_action: "3 core.HeaderValueOption.HeaderAppendAction",
    keep_empty_value: "4 bool"
  },
  "core.HeaderValueOption.HeaderAppendAction": {
    APPEND_IF_EXISTS_OR_ADD: 0,
    ADD_IF_ABSENT: 1,
    OVERWRITE_IF_EXISTS_OR_ADD: 2,
    OVERWRITE_IF_EXISTS: 3
  },
  "core.DataSource": {
    filename: "1 string in specifier",
    inline_bytes: "2 bytes in specifier",
    inline_string: "3 string in specifier",
    environment_variable: "4 string in specifier"
  },
  "core.TransportSocket": { name: "1 string", typed_config: "3 Any in config_type" },
  "core.TypedExtensionConfig": { name: "1 string", typed_config: "2 Any" },
  "core.Pipe": { path: "1 string", mode: "2 uint32" },
  "core.EnvoyInternalAddress": { server_listener_name: "1 string in address_name_specifier", endpoint_id: "2 string" },
  "core.SocketAddress": {
    protocol: "1 core.SocketAddress.Protocol",
    address: "2 string",
    port_value: "3 uint32 in port_specifier",
    named_port: "4 string in port_specifier",
    resolver_name: "5 string",
    ipv4_compat: "6 bool"
  },
  "core.SocketAddress.Protocol": { TCP: 0, UDP: 1 },
  "core.Address": {
    socket_address: "1 core.SocketAddress in address",
    pipe: "2 core.Pipe in address",
    envoy_internal_address: "3 core.EnvoyInternalAddress in address"
  },
  "core.CidrRange": { address_prefix: "1 string", prefix_len: "2 UInt32Value" },
  "core.TcpKeepalive": {
    keepalive_probes: "1 UInt32Value",
    keepalive_time: "2 UInt32Value",
    keepalive_interval: "3 UInt32Value"
  },
  "core.BackoffStrategy": { base_interval: "1 Duration", max_interval: "2 Duration" },
  "core.RetryPolicy": {
    retry_back_off: "1 core.BackoffStrategy",
    num_retries: "2 UInt32Value",
    retry_on: "3 string"
  },
  "core.HttpUri": { uri: "1 string", cluster: "2 string in http_upstream_type", timeout: "3 Duration" },
  "core.ApiVersion": { AUTO: 0, V2: 1, V3: 2 },
  "core.ConfigSource": {
    api_config_source: "2 core.ApiConfigSource in config_source_specifier",
    ads: "3 core.AggregatedConfigSource in config_source_specifier",
    self: "5 core.SelfConfigSource in config_source_specifier",
    initial_fetch_timeout: "4 Duration",
    resource_api_version: "6 core.ApiVersion"
  },
  "core.AggregatedConfigSource": {},
  "core.SelfConfigSource": { transport_api_version: "1 core.ApiVersion" },
  "core.ApiConfigSource": {
    api_type: "1 core.ApiConfigSource.ApiType",
    transport_api_version: "8 core.ApiVersion",
    grpc_services: "4 repeated core.GrpcService",
    set_node_on_first_message_only: "7 bool"
  },
  "core.ApiConfigSource.ApiType": {
    DEPRECATED_AND_UNAVAILABLE_DO_NOT_USE: 0,
    REST: 1,
    GRPC: 2,
    DELTA_GRPC: 3,
    AGGREGATED_GRPC: 5,
    AGGREGATED_DELTA_GRPC: 6
  },
  "core.GrpcService": {
    envoy_grpc: "1 core.GrpcService.EnvoyGrpc in target_specifier",
    timeout: "3 Duration",
    initial_metadata: "5 repeated core.HeaderValue"
  },
  "core.GrpcService.EnvoyGrpc": { cluster_name: "1 string", authority: "2 string" },
  "core.GrpcMethodList": { services: "1 repeated core.GrpcMethodList.Service" },
  "core.GrpcMethodList.Service": { name: "1 string", method_names: "2 repeated string" },
  "core.UpstreamHttpProtocolOptions": {
    auto_sni: "1 bool",
    auto_san_validation: "2 bool",
    override_auto_sni_header: "3 string"
  },
  "core.HttpProtocolOptions": {
    idle_timeout: "1 Duration",
    max_connection_duration: "3 Duration",
    max_headers_count: "2 UInt32Value",
    max_stream_duration: "4 Duration",
    headers_with_underscores_action: "5 core.HttpProtocolOptions.HeadersWithUnderscoresAction",
    max_requests_per_connection: "6 UInt32Value"
  },
  "core.HttpProtocolOptions.HeadersWithUnderscoresAction": { ALLOW: 0, REJECT_REQUEST: 1, DROP_HEADER: 2 },
  "core.Http1ProtocolOptions": {
    allow_absolute_url: "1 BoolValue",
    accept_http_10: "2 bool",
    default_host_for_http_10: "3 string",
    enable_trailers: "5 bool",
    allow_chunked_length: "6 bool",
    override_stream_error_on_invalid_http_message: "7 BoolValue"
  },
  "core.KeepaliveSettings": {
    interval: "1 Duration",
    timeout: "2 Duration",
    interval_jitter: "3 type.Percent",
    connection_idle_interval: "4 Duration"
  },
  "core.Http2ProtocolOptions": {
    hpack_table_size: "1 UInt32Value",
    max_concurrent_streams: "2 UInt32Value",
    initial_stream_window_size: "3 UInt32Value",
    initial_connection_window_size: "4 UInt32Value",
    allow_connect: "5 bool",
    allow_metadata: "6 bool",
    override_stream_error_on_invalid_http_message: "14 BoolValue",
    connection_keepalive: "15 core.KeepaliveSettings"
  },
  "core.SubstitutionFormatString": {
    text_format: "1 string in format",
    json_format: "2 Struct in format",
    text_format_source: "5 core.DataSource in format",
    omit_empty_values: "3 bool",
    content_type: "4 string"
  },
  "type.Percent": { value: "1 double" },
  "type.FractionalPercent": { numerator: "1 uint32", denominator: "2 type.FractionalPercent.DenominatorType" },
  "type.FractionalPercent.DenominatorType": { HUNDRED: 0, TEN_THOUSAND: 1, MILLION: 2 },
  "type.SemanticVersion": { major_number: "1 uint32", minor_number: "2 uint32", patch: "3 uint32" },
  "type.Int64Range": { start: "1 int64", end: "2 int64" },
  "type.Int32Range": { start: "1 int32", end: "2 int32" },
  "type.TokenBucket": { max_tokens: "1 uint32", tokens_per_fill: "2 UInt32Value", fill_interval: "3 Duration" },
  "type.HashPolicy": { source_ip: "1 type.HashPolicy.SourceIp in policy_specifier" },
  "type.HashPolicy.SourceIp": {},
  "matcher.StringMatcher": {
    exact: "1 string in match_pattern",
    prefix: "2 string in match_pattern",
    suffix: "3 string in match_pattern",
    safe_regex: "5 matcher.RegexMatcher in match_pattern",
    contains: "7 string in match_pattern",
    ignore_case: "6 bool"
  },
  "matcher.RegexMatcher": {
    google_re2: "1 matcher.RegexMatcher.GoogleRE2 in engine_type",
    regex: "2 string"
  },
  "matcher.RegexMatcher.GoogleRE2": { max_program_size: "1 UInt32Value" },
  "matcher.RegexMatchAndSubstitute": { pattern: "1 matcher.RegexMatcher", substitution: "2 string" },
  "matcher.PathMatcher": { path: "1 matcher.StringMatcher in rule" },
  "matcher.MetadataMatcher": {
    filter: "1 string",
    path: "2 repeated matcher.MetadataMatcher.PathSegment",
    value: "3 matcher.ValueMatcher",
    invert: "4 bool"
  },
  "matcher.MetadataMatcher.PathSegment": { key: "1 string in segment" },
  "matcher.ValueMatcher": {
    null_match: "1 matcher.ValueMatcher.NullMatch in match_pattern",
    string_match: "3 matcher.StringMatcher in match_pattern",
    bool_match: "4 bool in match_pattern",
    present_match: "5 bool in match_pattern",
    list_match: "6 matcher.ListMatcher in match_pattern",
    or_match: "7 matcher.OrMatcher in match_pattern"
  },
  "matcher.ValueMatcher.NullMatch": {},
  "matcher.ListMatcher": { one_of: "1 matcher.ValueMatcher in match_pattern" },
  "matcher.OrMatcher": { value_matchers: "1 repeated matcher.ValueMatcher" }
} as const
