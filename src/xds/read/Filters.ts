/** What a chain of filters does with a connection: it relays bytes to a cluster, or requests by routes. */
import * as MeshDefaults from "../../watch/MeshDefaults.ts"
import * as AccessLog from "./AccessLog.ts"
import * as Fields from "./Fields.ts"
import * as Routes from "./Routes.ts"

export type Protocol = "tcp" | "http" | "http2" | "grpc"

export interface Filters {
  readonly protocol: Protocol
  readonly to: Destination
  /** Undefined: nobody is judged. */
  readonly rbac: Fields.Json | undefined
  readonly jwt: Fields.Json | undefined
  /** Undefined: no limit. */
  readonly maxConnections: number | undefined
  readonly defaults: MeshDefaults.Defaults
  readonly accessLog: AccessLog.AccessLog | undefined
}

export type Destination =
  | { readonly _tag: "Cluster"; readonly cluster: string }
  | { readonly _tag: "Routes"; readonly routes: Routes.Routes }
  /** Told apart from the listener, under this name. */
  | { readonly _tag: "Named"; readonly name: string }
  | { readonly _tag: "Nowhere" }

interface Draft {
  protocol: Protocol
  to: Destination
  rbac: Fields.Json | undefined
  /** Of connections, or of requests. */
  judges: "connections" | "requests" | undefined
  jwt: Fields.Json | undefined
  maxConnections: number | undefined
  defaults: MeshDefaults.Defaults
  accessLog: AccessLog.AccessLog | undefined
}

/** Of a `FilterChain`. */
export const read = (chain: Fields.Fields): Filters => {
  const draft: Draft = {
    protocol: "tcp",
    to: { _tag: "Nowhere" },
    rbac: undefined,
    judges: undefined,
    jwt: undefined,
    maxConnections: undefined,
    defaults: MeshDefaults.defaults,
    accessLog: undefined
  }
  for (const filter of chain.many("filters")) {
    filter.skip("name")
    const config = filter.json("typed_config")
    network(filter, asJson(config), draft)
  }
  if (draft.to._tag === "Nowhere") chain.flaw("it leads nowhere")
  if (draft.judges !== undefined && (draft.judges === "requests") !== (draft.protocol !== "tcp")) {
    chain.flaw("it judges connections where requests are meant")
  }
  return draft
}

const asJson = (value: unknown): Fields.Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value as Fields.Json : {}

const typeOf = (config: Fields.Json): string => {
  const url = config["@type"]
  return typeof url === "string" ? url.slice(url.lastIndexOf("/") + 1) : ""
}

/** Reads a part whose fields are looked at here, and notes its flaws in `of`. */
const within = <A>(of: Fields.Fields, config: Fields.Json, f: (fields: Fields.Fields) => A): A => {
  const { flaws, value } = Fields.read(of.path, config, (fields) => {
    fields.skip("@type")
    return f(fields)
  })
  for (const flaw of flaws) of.flaw(flaw)
  return value
}

const network = (filter: Fields.Fields, config: Fields.Json, draft: Draft): void => {
  switch (typeOf(config)) {
    case "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy":
      return within(filter, config, (fields) => {
        fields.skip("stat_prefix")
        draft.to = { _tag: "Cluster", cluster: fields.text("cluster") }
        draft.accessLog = AccessLog.read(fields.many("access_log"))
        if (draft.to.cluster === "") fields.flaw("it names no cluster")
      })
    case "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager":
      return within(filter, config, (fields) => manager(fields, draft))
    case "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit":
      return within(filter, config, (fields) => {
        fields.skip("stat_prefix")
        draft.maxConnections = fields.number("max_connections")
      })
    case "envoy.extensions.filters.network.rbac.v3.RBAC":
      return judge(filter, config, draft, "connections")
    default:
      filter.flaw(`the filter ${typeOf(config) || "without a type"}`)
  }
}

/** Its rules are read by those who know whom they are about. */
const judge = (filter: Fields.Fields, config: Fields.Json, draft: Draft, what: Draft["judges"]): void => {
  if (draft.rbac !== undefined) filter.flaw("it is judged twice")
  draft.rbac = config
  draft.judges = what
}

const manager = (fields: Fields.Fields, draft: Draft): void => {
  fields.skip("codec_type", "stat_prefix", "tracing", "upgrade_configs", "set_current_client_cert_details")
  draft.protocol = fields.which("http2_protocol_options") === undefined ? "http" : "http2"
  fields.one("http2_protocol_options")
  draft.to = destination(fields)
  draft.accessLog = AccessLog.read(fields.many("access_log"))
  for (const filter of fields.many("http_filters")) {
    filter.skip("name")
    http(filter, asJson(filter.json("typed_config")), draft)
  }
  const protocol = fields.one("common_http_protocol_options")
  const underscores = protocol?.text("headers_with_underscores_action") ?? ""
  const forwards = fields.text("forward_client_cert_details")
  if (forwards !== "" && forwards !== "APPEND_FORWARD" && forwards !== "SANITIZE") {
    fields.flaw(`certificates of clients are told on as ${forwards}`)
  }
  draft.defaults = {
    incoming: {
      ...(fields.choice("normalize_path") === false ? { InsecureDisablePathNormalization: true } : {}),
      ...(fields.flag("merge_slashes") ? { MergeSlashes: true } : {}),
      PathWithEscapedSlashesAction: fields.text("path_with_escaped_slashes_action") || undefined
    },
    headersWithUnderscores: underscores === "REJECT_REQUEST"
      ? "reject"
      : underscores === "DROP_HEADER"
      ? "drop"
      : "allow",
    sanitizeForwardedClientCert: forwards !== "APPEND_FORWARD"
  }
}

const destination = (fields: Fields.Fields): Destination => {
  const named = fields.one("rds")
  const routes = fields.one("route_config")
  if (named !== undefined) {
    named.skip("config_source")
    return { _tag: "Named", name: named.text("route_config_name") }
  }
  return routes === undefined ? { _tag: "Nowhere" } : { _tag: "Routes", routes: Routes.read(routes) }
}

const http = (filter: Fields.Fields, config: Fields.Json, draft: Draft): void => {
  switch (typeOf(config)) {
    case "envoy.extensions.filters.http.router.v3.Router":
    case "envoy.extensions.filters.http.grpc_http1_bridge.v3.Config":
      return within(filter, config, () => undefined)
    case "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig":
      draft.protocol = "grpc"
      return within(filter, config, (fields) => fields.skip("stats_for_all_methods", "emit_filter_state"))
    // It tells other filters who calls. There are none here that ask.
    case "envoy.extensions.filters.http.header_to_metadata.v3.Config":
      return within(filter, config, (fields) => fields.skip("request_rules"))
    case "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication":
      if (draft.jwt !== undefined) filter.flaw("tokens are checked twice")
      draft.jwt = config
      return
    case "envoy.extensions.filters.http.rbac.v3.RBAC":
      return judge(filter, config, draft, "requests")
    default:
      filter.flaw(`the filter ${typeOf(config) || "without a type"}`)
  }
}
