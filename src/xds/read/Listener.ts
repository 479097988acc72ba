/** A port of the proxy: for callers from the mesh, for an upstream, or for a path that is open to all. */
import type * as Addresses from "../../watch/registration/Addresses.ts"
import * as Address from "./Address.ts"
import type * as Fields from "./Fields.ts"
import * as Filters from "./Filters.ts"
import * as TlsContext from "./TlsContext.ts"

export interface Listener extends Filters.Filters {
  readonly kind: Kind
  readonly name: string
  readonly bind: Addresses.Address
  readonly tls: TlsContext.TlsContext | undefined
  /** Whether only some addresses may connect. */
  readonly onlySome: boolean
  /** Whether connections that come to no request have lines in the log. */
  readonly logsConnections: boolean
}

export type Kind =
  | { readonly _tag: "Public" }
  | { readonly _tag: "Exposed" }
  | Called

/** An upstream, as Consul's names of listeners have it: `api`, `api?dc=dc2`, `prepared_query:geo`, `billing?peer=east`. */
export interface Called {
  readonly _tag: "Upstream"
  readonly service: string
  readonly query: boolean
  readonly datacenter: string | undefined
  /** The peered cluster that it is in, by our name of it. */
  readonly peer: string | undefined
}

/** Undefined: it can not be served at all. */
export const read = (fields: Fields.Fields): Listener | undefined => {
  fields.skip("@type", "stat_prefix", "connection_balance_config", "enable_reuse_port", "metadata")
  fields.skip("per_connection_buffer_limit_bytes")
  const name = fields.text("name")
  const address = fields.one("address")
  const bind = Address.read(address)
  const [chain, ...others] = fields.many("filter_chains")
  const logs = fields.many("access_log")
  for (const log of logs) log.skip("name", "filter", "typed_config")
  if (bind === undefined || chain === undefined || others.length > 0) {
    fields.flaw(bind === undefined ? "it has no address" : "it tells connections apart")
    return undefined
  }
  const kind = kindOf(fields, name, bind)
  chain.skip("name", "metadata")
  const match = chain.one("filter_chain_match")
  const some = match?.many("source_prefix_ranges") ?? []
  for (const range of some) range.skip("address_prefix", "prefix_len")
  if (kind._tag !== "Exposed" && match !== undefined) chain.flaw("it tells connections apart")
  const socket = chain.one("transport_socket")
  const filters = Filters.read(chain)
  const tls = socket === undefined ? undefined : TlsContext.read(socket, "Downstream")
  if ((kind._tag === "Public") !== (tls !== undefined)) chain.flaw("it has TLS where there should be none, or none")
  if (kind._tag === "Public" && filters.rbac === undefined) chain.flaw("nobody is judged")
  if (kind._tag !== "Public" && (filters.rbac ?? filters.jwt) !== undefined) chain.flaw("somebody is judged")
  return {
    ...filters,
    kind,
    name,
    bind,
    tls,
    onlySome: some.length > 0,
    logsConnections: logs.length > 0
  }
}

const kindOf = (fields: Fields.Fields, name: string, bind: Addresses.Address): Kind => {
  const suffix = "path" in bind ? `:${bind.path}` : `:${bind.host}:${bind.port}`
  const id = name.endsWith(suffix) ? name.slice(0, -suffix.length) : name
  // A service may be called as one of these.
  const direction = fields.text("traffic_direction")
  if (direction === "INBOUND" && id === "public_listener") return { _tag: "Public" }
  if (direction === "INBOUND" && id.startsWith("exposed_path_")) return { _tag: "Exposed" }
  if (direction !== "OUTBOUND") fields.flaw("it is for nobody that is known")
  const query = id.startsWith("prepared_query:")
  const rest = query ? id.slice("prepared_query:".length) : id
  const [service = rest, search = ""] = rest.split("?", 2)
  const parameters = new URLSearchParams(search)
  const datacenter = parameters.get("dc") ?? undefined
  const peer = parameters.get("peer") ?? undefined
  parameters.delete("dc")
  parameters.delete("peer")
  const others = parameters.toString()
  return {
    _tag: "Upstream",
    service: others === "" ? service : `${service}?${others}`,
    query,
    datacenter,
    peer
  }
}
