/** Who can be reached, and how: a `Cluster`. */
import type { Schema } from "effect"
import type * as OutlierDetection from "../../balance/OutlierDetection.ts"
import type * as Upstreams from "../../watch/registration/Upstreams.ts"
import * as Assignment from "./Assignment.ts"
import type * as Fields from "./Fields.ts"
import * as TlsContext from "./TlsContext.ts"

export interface Cluster {
  readonly name: string
  readonly members: Members
  /** Undefined: without TLS, as the application beside us. */
  readonly tls: TlsContext.TlsContext | undefined
  readonly connectTimeoutMillis: number
  /** `LoadBalancer` of a resolver. */
  readonly balancing: Schema.JsonObject
  readonly limits: Upstreams.Limits
  readonly outliers: Partial<OutlierDetection.Options>
  /** Whether requests are sent by HTTP/2. */
  readonly http2: boolean
}

export type Members =
  /** They are told apart from the cluster, under this name. */
  | { readonly _tag: "Followed"; readonly assignment: string }
  | { readonly _tag: "Fixed"; readonly instances: ReadonlyArray<Assignment.Instance> }
  /** Of other clusters, in order of preference. */
  | { readonly _tag: "Others"; readonly clusters: ReadonlyArray<string> }

export const read = (fields: Fields.Fields): Cluster => {
  fields.skip("@type", "alt_stat_name", "metadata", "dns_lookup_family", "dns_refresh_rate", "respect_dns_ttl")
  fields.skip("wait_for_warm_on_init", "per_connection_buffer_limit_bytes", "upstream_connection_options")
  fields.one("common_lb_config")?.skip("healthy_panic_threshold", "update_merge_window")
  const name = fields.text("name")
  const socket = fields.one("transport_socket")
  return {
    name,
    members: members(name, fields),
    tls: socket === undefined ? undefined : TlsContext.read(socket, "Upstream"),
    connectTimeoutMillis: fields.millis("connect_timeout") ?? 5000,
    balancing: balancing(fields),
    limits: limits(fields.one("circuit_breakers")),
    outliers: outliers(fields.one("outlier_detection")),
    http2: isHttp2(fields)
  }
}

const members = (name: string, fields: Fields.Fields): Members => {
  const custom = fields.one("cluster_type")
  if (custom !== undefined) {
    custom.skip("name")
    const config = custom.one("typed_config")
    if (config?.type() === "envoy.extensions.clusters.aggregate.v3.ClusterConfig") {
      return { _tag: "Others", clusters: config.texts("clusters") }
    }
    custom.flaw("it is no kind of cluster that is known")
    return { _tag: "Fixed", instances: [] }
  }
  const type = fields.text("type") || "STATIC"
  const fixed = fields.one("load_assignment")
  const followed = fields.one("eds_cluster_config")
  if (type === "EDS") {
    followed?.skip("eds_config")
    return { _tag: "Followed", assignment: followed?.text("service_name") || name }
  }
  if (type !== "STATIC" && type !== "STRICT_DNS" && type !== "LOGICAL_DNS") fields.flaw(`the type ${type}`)
  return { _tag: "Fixed", instances: fixed === undefined ? [] : Assignment.read(fixed) }
}

const balancing = (fields: Fields.Fields): Schema.JsonObject => {
  const policy = fields.text("lb_policy") || "ROUND_ROBIN"
  const ring = fields.one("ring_hash_lb_config")
  const least = fields.one("least_request_lb_config")
  switch (policy) {
    case "ROUND_ROBIN":
    // Each of the clusters behind it has its own.
    case "CLUSTER_PROVIDED":
      return {}
    case "RANDOM":
      return { Policy: "random" }
    case "LEAST_REQUEST":
      return { Policy: "least_request", LeastRequestConfig: { ChoiceCount: least?.number("choice_count") ?? 0 } }
    case "MAGLEV":
      return { Policy: "maglev" }
    case "RING_HASH":
      return {
        Policy: "ring_hash",
        RingHashConfig: {
          MinimumRingSize: ring?.number("minimum_ring_size") ?? 0,
          MaximumRingSize: ring?.number("maximum_ring_size") ?? 0
        }
      }
    default:
      fields.flaw(`the load balancing policy ${policy}`)
      return {}
  }
}

const limits = (fields: Fields.Fields | undefined): Upstreams.Limits => {
  const [thresholds, ...others] = fields?.many("thresholds") ?? []
  if (others.length > 0) fields?.flaw("it has several thresholds")
  thresholds?.skip("priority", "track_remaining")
  return {
    maxConnections: thresholds?.number("max_connections"),
    maxPendingRequests: thresholds?.number("max_pending_requests"),
    maxConcurrentRequests: thresholds?.number("max_requests")
  }
}

/** Without it nobody is left out. */
const outliers = (fields: Fields.Fields | undefined): Partial<OutlierDetection.Options> => {
  if (fields === undefined) return { maxFailures: 0 }
  const read = {
    intervalMillis: fields.millis("interval"),
    maxFailures: fields.number("consecutive_5xx"),
    enforcing: fields.number("enforcing_consecutive_5xx"),
    maxEjectionPercent: fields.number("max_ejection_percent"),
    baseEjectionMillis: fields.millis("base_ejection_time"),
    maxEjectionMillis: fields.millis("max_ejection_time")
  }
  return Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined))
}

const isHttp2 = (fields: Fields.Fields): boolean => {
  const old = fields.one("http2_protocol_options")
  const options = fields.entries("typed_extension_protocol_options")
    .find(([name]) => name === "envoy.extensions.upstreams.http.v3.HttpProtocolOptions")?.[1]
  options?.skip("@type", "common_http_protocol_options")
  const explicit = options?.one("explicit_http_config")
  // As callers do.
  const either = options?.one("use_downstream_protocol_config")
  const http2 = explicit?.one("http2_protocol_options") ?? either?.one("http2_protocol_options") ?? old
  http2?.skip("max_concurrent_streams", "initial_stream_window_size", "initial_connection_window_size")
  explicit?.one("http_protocol_options")
  either?.one("http_protocol_options")
  return http2 !== undefined
}
