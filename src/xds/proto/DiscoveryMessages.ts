/** What goes over a delta stream (`envoy/service/discovery/v3/discovery.proto`). */
export const discovery = {
  "discovery.DeltaDiscoveryRequest": {
    node: "1 core.Node",
    type_url: "2 string",
    resource_names_subscribe: "3 repeated string",
    resource_names_unsubscribe: "4 repeated string",
    initial_resource_versions: "5 map string",
    response_nonce: "6 string",
    error_detail: "7 rpc.Status"
  },
  "discovery.DeltaDiscoveryResponse": {
    system_version_info: "1 string",
    resources: "2 repeated discovery.Resource",
    type_url: "4 string",
    removed_resources: "6 repeated string",
    nonce: "5 string",
    control_plane: "7 core.ControlPlane"
  },
  "discovery.Resource": {
    name: "3 string",
    aliases: "4 repeated string",
    version: "1 string",
    resource: "2 Any",
    ttl: "6 Duration",
    cache_control: "7 discovery.Resource.CacheControl"
  },
  "discovery.Resource.CacheControl": { do_not_cache: "1 bool" },
  "rpc.Status": { code: "1 int32", message: "2 string", details: "3 repeated Any" }
} as const
