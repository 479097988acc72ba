/**
 * The chain of a service of a peer: Consul compiles none. It has one target, and the protocol that the peer says.
 *
 * @see `agent/proxycfg/upstreams.go`, `PeerMeta.Protocol`
 */
import { Duration } from "effect"
import * as DiscoveryChain from "../consul/DiscoveryChain.ts"
import type * as Health from "../consul/Health.ts"
import * as TargetKey from "../route/TargetKey.ts"

export interface Request {
  readonly service: string
  readonly peer: string
  readonly connectTimeoutMillis?: number | undefined
}

/** `found`: what the peer shows of the service. */
export const of = (
  { connectTimeoutMillis, peer, service }: Request,
  found: ReadonlyArray<Health.ServiceEntry>
): DiscoveryChain.Chain => {
  const id = TargetKey.id({ service, subset: "", datacenter: "", peer })
  const start = `resolver:${id}`
  return DiscoveryChain.Chain.make({
    ServiceName: service,
    Namespace: "default",
    Datacenter: "",
    Protocol: found.map(({ Service }) => Service.Connect.PeerMeta?.Protocol ?? "").find((text) => text !== "") ?? "tcp",
    StartNode: start,
    Nodes: {
      [start]: {
        Type: "resolver",
        Name: id,
        Routes: [],
        Splits: [],
        Resolver: { Default: true, ConnectTimeout: Duration.millis(connectTimeoutMillis ?? 5000), Target: id }
      }
    },
    Targets: {
      [id]: DiscoveryChain.Target.make({
        ID: id,
        Service: service,
        Namespace: "default",
        Partition: "default",
        Peer: peer
      })
    }
  })
}
