/** The connection manager: HTTP of one listener, and the filters that requests pass. */
import type { Mesh } from "../../consul/config/Mesh.ts"
import { any } from "../proto/Encode.ts"
import type { Message } from "../proto/Messages.ts"
import * as Values from "./Values.ts"

type Filter = Message<"hcm.HttpFilter">

export interface Options {
  readonly protocol: string
  readonly statPrefix: string
  readonly route: Pick<Message<"hcm.HttpConnectionManager">, "rds" | "route_config">
  /** Of the mesh, for requests from there. Undefined: requests come from elsewhere. */
  readonly inbound?: { readonly mesh: Mesh | undefined; readonly judges: ReadonlyArray<Filter> } | undefined
  readonly maxRequestHeadersKb?: number | undefined
  readonly accessLog: ReadonlyArray<Message<"accesslog.AccessLog">> | undefined
}

/** A filter of a listener. */
export const manager = (options: Options): Message<"listener.Filter"> => {
  const { inbound, protocol } = options
  const tellsCaller = inbound !== undefined && protocol !== "grpc" &&
    inbound.mesh?.HTTP?.SanitizeXForwardedClientCert !== true
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: any("hcm.HttpConnectionManager", {
      stat_prefix: options.statPrefix,
      ...options.route,
      http_filters: [
        ...(protocol === "grpc" ? [grpcStats, grpcBridge] : []),
        ...inbound?.judges ?? [],
        ...(tellsCaller ? [callerToMetadata] : []),
        router
      ],
      tracing: { random_sampling: {} },
      http2_protocol_options: Values.isHttp2(protocol) ? {} : undefined,
      max_request_headers_kb: options.maxRequestHeadersKb,
      access_log: options.accessLog,
      ...(tellsCaller && {
        forward_client_cert_details: "APPEND_FORWARD" as const,
        set_current_client_cert_details: { subject: true, cert: true, chain: true, dns: true, uri: true }
      }),
      upgrade_configs: [{ upgrade_type: "websocket" }],
      ...(inbound !== undefined && normalization(inbound.mesh))
    })
  }
}

/** How paths and names of headers are cleaned before anybody judges by them. */
const normalization = (mesh: Mesh | undefined): Message<"hcm.HttpConnectionManager"> => {
  const said = mesh?.HTTP?.Incoming?.RequestNormalization
  const slashes = said?.PathWithEscapedSlashesAction || undefined
  const underscores = said?.HeadersWithUnderscoresAction || undefined
  return {
    normalize_path: said?.InsecureDisablePathNormalization !== true,
    merge_slashes: said?.MergeSlashes,
    // The agent refuses any other text.
    path_with_escaped_slashes_action: slashes as Message<"hcm.HttpConnectionManager.PathWithEscapedSlashesAction">,
    common_http_protocol_options: underscores === undefined ? undefined : {
      headers_with_underscores_action: underscores as Message<"core.HttpProtocolOptions.HeadersWithUnderscoresAction">
    }
  }
}

const router: Filter = { name: "envoy.filters.http.router", typed_config: any("router.Router", {}) }

const grpcStats: Filter = {
  name: "envoy.filters.http.grpc_stats",
  typed_config: any("grpc_stats.FilterConfig", { stats_for_all_methods: true })
}

const grpcBridge: Filter = { name: "envoy.filters.http.grpc_http1_bridge", typed_config: any("grpc_bridge.Config", {}) }

/** Extensions of operators find the caller in the metadata of the request. */
const callerToMetadata: Filter = {
  name: "envoy.filters.http.header_to_metadata",
  typed_config: any("header_to_metadata.Config", {
    request_rules: ["trust-domain", "partition", "namespace", "datacenter", "service"].map((key, index) => ({
      header: "x-forwarded-client-cert",
      on_header_present: {
        metadata_namespace: "consul",
        key,
        regex_value_rewrite: {
          pattern: {
            regex: ".*URI=spiffe://([^/]+.[^/]+)(?:/ap/([^/]+))?/ns/([^/]+)/dc/([^/]+)/svc/([^/;,]+).*"
          },
          substitution: `\\${index + 1}`
        }
      }
    }))
  })
}
