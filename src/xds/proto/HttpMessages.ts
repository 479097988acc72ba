/** The HTTP connection manager and its filters, but for those that judge (`PolicyMessages.ts`). */
export const http = {
  "hcm.HttpConnectionManager": {
    codec_type: "1 hcm.HttpConnectionManager.CodecType",
    stat_prefix: "2 string",
    rds: "3 hcm.Rds in route_specifier",
    route_config: "4 route.RouteConfiguration in route_specifier",
    http_filters: "5 repeated hcm.HttpFilter",
    tracing: "7 hcm.HttpConnectionManager.Tracing",
    common_http_protocol_options: "35 core.HttpProtocolOptions",
    http_protocol_options: "8 core.Http1ProtocolOptions",
    http2_protocol_options: "9 core.Http2ProtocolOptions",
    server_name: "10 string",
    server_header_transformation: "34 hcm.HttpConnectionManager.ServerHeaderTransformation",
    max_request_headers_kb: "29 UInt32Value",
    stream_idle_timeout: "24 Duration",
    request_timeout: "28 Duration",
    request_headers_timeout: "41 Duration",
    drain_timeout: "12 Duration",
    delayed_close_timeout: "26 Duration",
    access_log: "13 repeated accesslog.AccessLog",
    use_remote_address: "14 BoolValue",
    xff_num_trusted_hops: "19 uint32",
    skip_xff_append: "21 bool",
    via: "22 string",
    generate_request_id: "15 BoolValue",
    preserve_external_request_id: "32 bool",
    always_set_request_id_in_response: "37 bool",
    forward_client_cert_details: "16 hcm.HttpConnectionManager.ForwardClientCertDetails",
    set_current_client_cert_details: "17 hcm.HttpConnectionManager.SetCurrentClientCertDetails",
    proxy_100_continue: "18 bool",
    upgrade_configs: "23 repeated hcm.HttpConnectionManager.UpgradeConfig",
    normalize_path: "30 BoolValue",
    merge_slashes: "33 bool",
    path_with_escaped_slashes_action: "45 hcm.HttpConnectionManager.PathWithEscapedSlashesAction",
    strip_matching_host_port: "39 bool",
    strip_any_host_port: "42 bool in strip_port_mode",
    stream_error_on_invalid_http_message: "40 BoolValue"
  },
  "hcm.HttpConnectionManager.CodecType": { AUTO: 0, HTTP1: 1, HTTP2: 2, HTTP3: 3 },
  "hcm.HttpConnectionManager.ServerHeaderTransformation": { OVERWRITE: 0, APPEND_IF_ABSENT: 1, PASS_THROUGH: 2 },
  "hcm.HttpConnectionManager.ForwardClientCertDetails": {
    SANITIZE: 0,
    FORWARD_ONLY: 1,
    APPEND_FORWARD: 2,
    SANITIZE_SET: 3,
    ALWAYS_FORWARD_ONLY: 4
  },
  "hcm.HttpConnectionManager.PathWithEscapedSlashesAction": {
    IMPLEMENTATION_SPECIFIC_DEFAULT: 0,
    KEEP_UNCHANGED: 1,
    REJECT_REQUEST: 2,
    UNESCAPE_AND_REDIRECT: 3,
    UNESCAPE_AND_FORWARD: 4
  },
  "hcm.HttpConnectionManager.Tracing": {
    client_sampling: "3 type.Percent",
    random_sampling: "4 type.Percent",
    overall_sampling: "5 type.Percent",
    verbose: "6 bool"
  },
  "hcm.HttpConnectionManager.SetCurrentClientCertDetails": {
    subject: "1 BoolValue",
    cert: "3 bool",
    chain: "6 bool",
    dns: "4 bool",
    uri: "5 bool"
  },
  "hcm.HttpConnectionManager.UpgradeConfig": { upgrade_type: "1 string", enabled: "3 BoolValue" },
  "hcm.Rds": { config_source: "1 core.ConfigSource", route_config_name: "2 string" },
  "hcm.HttpFilter": {
    name: "1 string",
    typed_config: "4 Any in config_type",
    is_optional: "6 bool",
    disabled: "7 bool"
  },
  "router.Router": { dynamic_stats: "1 BoolValue", start_child_span: "2 bool", suppress_envoy_headers: "4 bool" },
  "grpc_stats.FilterConfig": {
    emit_filter_state: "1 bool",
    individual_method_stats_allowlist: "2 core.GrpcMethodList in per_method_stat_specifier",
    stats_for_all_methods: "3 BoolValue in per_method_stat_specifier",
    enable_upstream_stats: "4 bool"
  },
  "grpc_bridge.Config": { upgrade_protobuf_to_grpc: "1 bool", ignore_query_parameters: "2 bool" },
  "header_to_metadata.Config": {
    request_rules: "1 repeated header_to_metadata.Config.Rule",
    response_rules: "2 repeated header_to_metadata.Config.Rule"
  },
  "header_to_metadata.Config.ValueType": { STRING: 0, NUMBER: 1, PROTOBUF_VALUE: 2 },
  "header_to_metadata.Config.ValueEncode": { NONE: 0, BASE64: 1 },
  "header_to_metadata.Config.KeyValuePair": {
    metadata_namespace: "1 string",
    key: "2 string",
    value: "3 string",
    regex_value_rewrite: "6 matcher.RegexMatchAndSubstitute",
    type: "4 header_to_metadata.Config.ValueType",
    encode: "5 header_to_metadata.Config.ValueEncode"
  },
  "header_to_metadata.Config.Rule": {
    header: "1 string",
    cookie: "5 string",
    on_header_present: "2 header_to_metadata.Config.KeyValuePair",
    on_header_missing: "3 header_to_metadata.Config.KeyValuePair",
    remove: "4 bool"
  },
  "local_ratelimit.LocalRateLimit": {
    stat_prefix: "1 string",
    token_bucket: "3 type.TokenBucket",
    filter_enabled: "4 core.RuntimeFractionalPercent",
    filter_enforced: "5 core.RuntimeFractionalPercent"
  }
} as const
