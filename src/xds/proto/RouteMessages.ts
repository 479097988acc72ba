/** Where a request goes (`envoy/config/route/v3`). */
export const route = {
  "route.RouteConfiguration": {
    name: "1 string",
    virtual_hosts: "2 repeated route.VirtualHost",
    internal_only_headers: "3 repeated string",
    response_headers_to_add: "4 repeated core.HeaderValueOption",
    response_headers_to_remove: "5 repeated string",
    request_headers_to_add: "6 repeated core.HeaderValueOption",
    request_headers_to_remove: "8 repeated string",
    most_specific_header_mutations_wins: "10 bool",
    validate_clusters: "7 BoolValue",
    ignore_port_in_host_matching: "14 bool",
    typed_per_filter_config: "16 map Any"
  },
  "route.VirtualHost": {
    name: "1 string",
    domains: "2 repeated string",
    routes: "3 repeated route.Route",
    request_headers_to_add: "7 repeated core.HeaderValueOption",
    request_headers_to_remove: "13 repeated string",
    response_headers_to_add: "10 repeated core.HeaderValueOption",
    response_headers_to_remove: "11 repeated string",
    typed_per_filter_config: "15 map Any",
    include_request_attempt_count: "14 bool",
    include_attempt_count_in_response: "19 bool",
    retry_policy: "16 route.RetryPolicy"
  },
  "route.Route": {
    name: "14 string",
    match: "1 route.RouteMatch",
    route: "2 route.RouteAction in action",
    redirect: "3 route.RedirectAction in action",
    direct_response: "7 route.DirectResponseAction in action",
    metadata: "4 core.Metadata",
    typed_per_filter_config: "13 map Any",
    request_headers_to_add: "9 repeated core.HeaderValueOption",
    request_headers_to_remove: "12 repeated string",
    response_headers_to_add: "10 repeated core.HeaderValueOption",
    response_headers_to_remove: "11 repeated string"
  },
  "route.RouteMatch": {
    prefix: "1 string in path_specifier",
    path: "2 string in path_specifier",
    safe_regex: "10 matcher.RegexMatcher in path_specifier",
    connect_matcher: "12 route.RouteMatch.ConnectMatcher in path_specifier",
    path_separated_prefix: "14 string in path_specifier",
    case_sensitive: "4 BoolValue",
    headers: "6 repeated route.HeaderMatcher",
    query_parameters: "7 repeated route.QueryParameterMatcher",
    grpc: "8 route.RouteMatch.GrpcRouteMatchOptions"
  },
  "route.RouteMatch.ConnectMatcher": {},
  "route.RouteMatch.GrpcRouteMatchOptions": {},
  "route.HeaderMatcher": {
    name: "1 string",
    exact_match: "4 string in header_match_specifier",
    safe_regex_match: "11 matcher.RegexMatcher in header_match_specifier",
    range_match: "6 type.Int64Range in header_match_specifier",
    present_match: "7 bool in header_match_specifier",
    prefix_match: "9 string in header_match_specifier",
    suffix_match: "10 string in header_match_specifier",
    contains_match: "12 string in header_match_specifier",
    string_match: "13 matcher.StringMatcher in header_match_specifier",
    invert_match: "8 bool",
    treat_missing_header_as_empty: "14 bool"
  },
  "route.QueryParameterMatcher": {
    name: "1 string",
    string_match: "5 matcher.StringMatcher in query_parameter_match_specifier",
    present_match: "6 bool in query_parameter_match_specifier"
  },
  "route.RouteAction": {
    cluster: "1 string in cluster_specifier",
    cluster_header: "2 string in cluster_specifier",
    weighted_clusters: "3 route.WeightedCluster in cluster_specifier",
    cluster_not_found_response_code: "20 route.RouteAction.ClusterNotFoundResponseCode",
    metadata_match: "4 core.Metadata",
    prefix_rewrite: "5 string",
    regex_rewrite: "32 matcher.RegexMatchAndSubstitute",
    host_rewrite_literal: "6 string in host_rewrite_specifier",
    auto_host_rewrite: "7 BoolValue in host_rewrite_specifier",
    host_rewrite_header: "29 string in host_rewrite_specifier",
    timeout: "8 Duration",
    idle_timeout: "24 Duration",
    retry_policy: "9 route.RetryPolicy",
    priority: "11 core.RoutingPriority",
    hash_policy: "15 repeated route.RouteAction.HashPolicy",
    upgrade_configs: "25 repeated route.RouteAction.UpgradeConfig",
    max_stream_duration: "36 route.RouteAction.MaxStreamDuration"
  },
  "route.RouteAction.ClusterNotFoundResponseCode": { SERVICE_UNAVAILABLE: 0, NOT_FOUND: 1, INTERNAL_SERVER_ERROR: 2 },
  "route.RouteAction.HashPolicy": {
    header: "1 route.RouteAction.HashPolicy.Header in policy_specifier",
    cookie: "2 route.RouteAction.HashPolicy.Cookie in policy_specifier",
    connection_properties: "3 route.RouteAction.HashPolicy.ConnectionProperties in policy_specifier",
    query_parameter: "5 route.RouteAction.HashPolicy.QueryParameter in policy_specifier",
    terminal: "4 bool"
  },
  "route.RouteAction.HashPolicy.Header": { header_name: "1 string" },
  "route.RouteAction.HashPolicy.Cookie": { name: "1 string", ttl: "2 Duration", path: "3 string" },
  "route.RouteAction.HashPolicy.ConnectionProperties": { source_ip: "1 bool" },
  "route.RouteAction.HashPolicy.QueryParameter": { name: "1 string" },
  "route.RouteAction.UpgradeConfig": { upgrade_type: "1 string", enabled: "2 BoolValue" },
  "route.RouteAction.MaxStreamDuration": {
    max_stream_duration: "1 Duration",
    grpc_timeout_header_max: "2 Duration",
    grpc_timeout_header_offset: "3 Duration"
  },
  "route.WeightedCluster": {
    clusters: "1 repeated route.WeightedCluster.ClusterWeight",
    total_weight: "3 UInt32Value",
    runtime_key_prefix: "2 string"
  },
  "route.WeightedCluster.ClusterWeight": {
    name: "1 string",
    weight: "2 UInt32Value",
    metadata_match: "3 core.Metadata",
    request_headers_to_add: "4 repeated core.HeaderValueOption",
    request_headers_to_remove: "9 repeated string",
    response_headers_to_add: "5 repeated core.HeaderValueOption",
    response_headers_to_remove: "6 repeated string",
    typed_per_filter_config: "10 map Any",
    host_rewrite_literal: "11 string in host_rewrite_specifier"
  },
  "route.RetryPolicy": {
    retry_on: "1 string",
    num_retries: "2 UInt32Value",
    per_try_timeout: "3 Duration",
    per_try_idle_timeout: "13 Duration",
    host_selection_retry_max_attempts: "6 int64",
    retriable_status_codes: "7 repeated uint32",
    retry_back_off: "8 route.RetryPolicy.RetryBackOff"
  },
  "route.RetryPolicy.RetryBackOff": { base_interval: "1 Duration", max_interval: "2 Duration" },
  "route.RedirectAction": {
    https_redirect: "4 bool in scheme_rewrite_specifier",
    scheme_redirect: "7 string in scheme_rewrite_specifier",
    host_redirect: "1 string",
    port_redirect: "8 uint32",
    path_redirect: "2 string in path_rewrite_specifier",
    prefix_rewrite: "5 string in path_rewrite_specifier",
    response_code: "3 route.RedirectAction.RedirectResponseCode",
    strip_query: "6 bool"
  },
  "route.RedirectAction.RedirectResponseCode": {
    MOVED_PERMANENTLY: 0,
    FOUND: 1,
    SEE_OTHER: 2,
    TEMPORARY_REDIRECT: 3,
    PERMANENT_REDIRECT: 4
  },
  "route.DirectResponseAction": { status: "1 uint32", body: "2 core.DataSource" }
} as const
