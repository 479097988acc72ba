/** Paths of the application for those outside of the mesh. */
import * as Exposed from "../../watch/registration/Exposed.ts"
import type { Message } from "../proto/Messages.ts"
import type * as Snapshot from "../Snapshot.ts"
import * as HttpFilters from "./HttpFilters.ts"
import * as Logs from "./Logs.ts"
import * as Names from "./Names.ts"
import * as PublicListener from "./PublicListener.ts"
import * as Settings from "./Settings.ts"
import * as Values from "./Values.ts"

const parse = (snapshot: Snapshot.Sidecar): ReadonlyArray<Exposed.ExposedPath> => {
  const { LocalServiceAddress, LocalServicePort, LocalServiceSocketPath } = snapshot.proxy
  return Exposed.parse(
    snapshot.proxy.Expose,
    Settings.of(snapshot).bind.host,
    LocalServiceSocketPath === ""
      ? { host: LocalServiceAddress || "127.0.0.1", port: LocalServicePort }
      : { path: LocalServiceSocketPath }
  ).exposed
}

/** The application itself, unless the path is on a port of its own. */
const clusterOf = (snapshot: Snapshot.Sidecar, { application }: Exposed.ExposedPath): string =>
  "port" in application && application.port !== snapshot.proxy.LocalServicePort
    ? `exposed_cluster_${application.port}`
    : Names.localApp

export const listeners = (snapshot: Snapshot.Sidecar): ReadonlyArray<Message<"listener.Listener">> => {
  const logs = Logs.make(snapshot.proxy.AccessLogs)
  return parse(snapshot).map((exposed) => {
    const { listen, onlyAgent, path, protocol } = exposed
    const name = Names.ofPath(path)
    const filter = `exposed_path_filter_${name}_${listen.port}`
    return {
      name: Names.listener(`exposed_path_${name}`, listen.host, listen.port),
      address: Values.address(listen.host, listen.port),
      filter_chains: [{
        filter_chain_match: onlyAgent ? { source_prefix_ranges: agent(snapshot.agentAddress) } : undefined,
        filters: [HttpFilters.manager({
          protocol,
          statPrefix: filter,
          route: {
            route_config: PublicListener.oneRoute(filter, {
              match: { path },
              route: { cluster: clusterOf(snapshot, exposed) }
            })
          },
          accessLog: logs.filter
        })]
      }],
      traffic_direction: "INBOUND",
      access_log: logs.listener
    }
  })
}

const agent = (address: string): ReadonlyArray<Message<"core.CidrRange">> => [
  { address_prefix: "127.0.0.1", prefix_len: 8 },
  { address_prefix: "::1", prefix_len: 128 },
  ...(address === "" ? [] : [{ address_prefix: address, prefix_len: address.includes(":") ? 128 : 32 }])
]

/** Where paths have ports of their own. */
export const ports = (
  snapshot: Snapshot.Sidecar
): ReadonlyArray<{ readonly cluster: string; readonly path: Exposed.ExposedPath }> =>
  parse(snapshot).map((path) => ({ cluster: clusterOf(snapshot, path), path })).filter(({ cluster }) =>
    cluster !== Names.localApp
  )
