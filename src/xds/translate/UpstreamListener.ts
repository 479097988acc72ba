/** Where the application calls a service. */
import * as Upstreams from "../../watch/registration/Upstreams.ts"
import { any } from "../proto/Encode.ts"
import type { Message } from "../proto/Messages.ts"
import type * as Snapshot from "../Snapshot.ts"
import * as HttpFilters from "./HttpFilters.ts"
import type * as Logs from "./Logs.ts"
import * as Names from "./Names.ts"
import * as PublicListener from "./PublicListener.ts"
import * as UpstreamCluster from "./UpstreamCluster.ts"
import * as Values from "./Values.ts"

/** Undefined: it has no port or socket to listen on. */
export const make = (upstream: Snapshot.Upstream, logs: Logs.Logs): Message<"listener.Listener"> | undefined => {
  const bind = Upstreams.parse(upstream.settings, { MeshGateway: { Mode: "" } }).upstream?.bind
  if (bind === undefined) return undefined
  const id = Names.ofUpstream(upstream.settings)
  const exact = upstream.settings.Config["balance_outbound_connections"] === "exact_balance"
  return {
    name: "path" in bind ? `${id}:${bind.path}` : Names.listener(id, bind.host, bind.port),
    address: "path" in bind
      ? { pipe: { path: bind.path, mode: bind.mode } }
      : Values.address(bind.host, bind.port),
    filter_chains: [{ filters: [filter(upstream, id, logs)] }],
    traffic_direction: "OUTBOUND",
    connection_balance_config: exact ? { exact_balance: {} } : undefined,
    access_log: logs.listener
  }
}

const filter = ({ chain }: Snapshot.Upstream, id: string, logs: Logs.Logs): Message<"listener.Filter"> => {
  const statPrefix = `upstream.${Names.ofChain(chain)}`
  if (!Values.isHttpLike(chain.Protocol)) {
    return {
      name: "envoy.filters.network.tcp_proxy",
      typed_config: any("tcp_proxy.TcpProxy", {
        stat_prefix: statPrefix,
        cluster: UpstreamCluster.nameOf(chain, chain.StartNode),
        access_log: logs.filter
      })
    }
  }
  return HttpFilters.manager({
    protocol: chain.Protocol,
    statPrefix,
    route: chain.Default
      ? {
        route_config: PublicListener.oneRoute(id, {
          match: { prefix: "/" },
          route: { cluster: UpstreamCluster.nameOf(chain, chain.StartNode) }
        }, Names.ofChain(chain))
      }
      : { rds: { config_source: Values.ads, route_config_name: id } },
    accessLog: logs.filter
  })
}
