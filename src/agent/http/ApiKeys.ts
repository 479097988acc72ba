/**
 * Keys that the HTTP API of Consul does not take, though the files of its configuration do: most names of a registration may be
 * written in snake_case, these may not. As found with Consul 1.21.
 */

/** Known as in Go only. */
const notInSnakeCase = new Set([
  "alias_node",
  "alias_service",
  "centrally_configured",
  "check_id",
  "dialed_directly",
  "disable_redirects",
  "envoy_extensions",
  "failures_before_critical",
  "failures_before_warning",
  "h2_ping",
  "h2_ping_use_tls",
  "os_service",
  "outbound_listener_port",
  "output_max_size",
  "socket_path",
  "success_before_passing"
])

/** `parent` is the path of the object that has the key: the check of a service has a `CheckID`, one by itself an `ID`. */
export const refuses = (parent: string, key: string): boolean => {
  const folded = key.toLowerCase()
  return notInSnakeCase.has(folded) ||
    (/(^|\.)Checks?(\[\d+\])?$/.test(parent) ? folded === "id" : parent === "" && folded === "checkid")
}
