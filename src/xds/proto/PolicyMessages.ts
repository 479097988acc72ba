/** Who may do what: RBAC for connections and requests, tokens. */
export const policy = {
  "rbac.RBAC": { action: "1 rbac.RBAC.Action", policies: "2 map rbac.Policy" },
  "rbac.RBAC.Action": { ALLOW: 0, DENY: 1, LOG: 2 },
  "rbac.Policy": { permissions: "1 repeated rbac.Permission", principals: "2 repeated rbac.Principal" },
  "rbac.Permission": {
    and_rules: "1 rbac.Permission.Set in rule",
    or_rules: "2 rbac.Permission.Set in rule",
    any: "3 bool in rule",
    header: "4 route.HeaderMatcher in rule",
    url_path: "10 matcher.PathMatcher in rule",
    destination_ip: "5 core.CidrRange in rule",
    destination_port: "6 uint32 in rule",
    destination_port_range: "11 type.Int32Range in rule",
    metadata: "7 matcher.MetadataMatcher in rule",
    not_rule: "8 rbac.Permission in rule",
    requested_server_name: "9 matcher.StringMatcher in rule"
  },
  "rbac.Permission.Set": { rules: "1 repeated rbac.Permission" },
  "rbac.Principal": {
    and_ids: "1 rbac.Principal.Set in identifier",
    or_ids: "2 rbac.Principal.Set in identifier",
    any: "3 bool in identifier",
    authenticated: "4 rbac.Principal.Authenticated in identifier",
    source_ip: "5 core.CidrRange in identifier",
    direct_remote_ip: "10 core.CidrRange in identifier",
    remote_ip: "11 core.CidrRange in identifier",
    header: "6 route.HeaderMatcher in identifier",
    url_path: "9 matcher.PathMatcher in identifier",
    metadata: "7 matcher.MetadataMatcher in identifier",
    not_id: "8 rbac.Principal in identifier"
  },
  "rbac.Principal.Set": { ids: "1 repeated rbac.Principal" },
  "rbac.Principal.Authenticated": { principal_name: "2 matcher.StringMatcher" },
  "network_rbac.RBAC": {
    rules: "1 rbac.RBAC",
    shadow_rules: "2 rbac.RBAC",
    shadow_rules_stat_prefix: "5 string",
    stat_prefix: "3 string",
    enforcement_type: "4 network_rbac.RBAC.EnforcementType"
  },
  "network_rbac.RBAC.EnforcementType": { ONE_TIME_ON_FIRST_BYTE: 0, CONTINUOUS: 1 },
  "http_rbac.RBAC": { rules: "1 rbac.RBAC", shadow_rules: "2 rbac.RBAC", shadow_rules_stat_prefix: "3 string" },
  "http_rbac.RBACPerRoute": { rbac: "2 http_rbac.RBAC" },
  "jwt.JwtAuthentication": {
    providers: "1 map jwt.JwtProvider",
    rules: "2 repeated jwt.RequirementRule",
    bypass_cors_preflight: "4 bool",
    requirement_map: "5 map jwt.JwtRequirement",
    strip_failure_response: "6 bool"
  },
  "jwt.JwtProvider": {
    issuer: "1 string",
    audiences: "2 repeated string",
    require_expiration: "20 bool",
    remote_jwks: "3 jwt.RemoteJwks in jwks_source_specifier",
    local_jwks: "4 core.DataSource in jwks_source_specifier",
    forward: "5 bool",
    from_headers: "6 repeated jwt.JwtHeader",
    from_params: "7 repeated string",
    from_cookies: "13 repeated string",
    forward_payload_header: "8 string",
    pad_forward_payload_header: "11 bool",
    payload_in_metadata: "9 string",
    clock_skew_seconds: "10 uint32",
    jwt_cache_config: "12 jwt.JwtCacheConfig"
  },
  "jwt.JwtCacheConfig": { jwt_cache_size: "1 uint32" },
  "jwt.RemoteJwks": {
    http_uri: "1 core.HttpUri",
    cache_duration: "2 Duration",
    async_fetch: "3 jwt.JwksAsyncFetch",
    retry_policy: "4 core.RetryPolicy"
  },
  "jwt.JwksAsyncFetch": { fast_listener: "1 bool", failed_refetch_duration: "2 Duration" },
  "jwt.JwtHeader": { name: "1 string", value_prefix: "2 string" },
  "jwt.ProviderWithAudiences": { provider_name: "1 string", audiences: "2 repeated string" },
  "jwt.JwtRequirement": {
    provider_name: "1 string in requires_type",
    provider_and_audiences: "2 jwt.ProviderWithAudiences in requires_type",
    requires_any: "3 jwt.JwtRequirementOrList in requires_type",
    requires_all: "4 jwt.JwtRequirementAndList in requires_type",
    allow_missing_or_failed: "5 Empty in requires_type",
    allow_missing: "6 Empty in requires_type"
  },
  "jwt.JwtRequirementOrList": { requirements: "1 repeated jwt.JwtRequirement" },
  "jwt.JwtRequirementAndList": { requirements: "1 repeated jwt.JwtRequirement" },
  "jwt.RequirementRule": {
    match: "1 route.RouteMatch",
    requires: "2 jwt.JwtRequirement in requirement_type",
    requirement_name: "3 string in requirement_type"
  },
  "jwt.PerRouteConfig": {
    disabled: "1 bool in requirement_specifier",
    requirement_name: "2 string in requirement_specifier"
  }
} as const
