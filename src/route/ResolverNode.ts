/** A resolver of a compiled discovery chain: the target that it leads to, and those that stand in for it. */
import { Duration, Result } from "effect"
import type * as DiscoveryChain from "../consul/DiscoveryChain.ts"
import * as Balancing from "./Balancing.ts"
import * as TcpRoute from "./TcpRoute.ts"
import * as TimerLimit from "./TimerLimit.ts"

/**
 * Follows a resolver to its target and the targets that stand in for it. Ids are opaque: nothing is parsed. Fails with what is
 * wrong with the chain.
 */
export const compile = (chain: DiscoveryChain.Chain, name: string): Result.Result<TcpRoute.TcpRoute, string> =>
  Result.gen(function*() {
    const node = chain.Nodes[name]
    const resolver = node?.Resolver
    if (resolver === undefined) {
      return yield* Result.fail(
        `the chain of ${chain.ServiceName} leads to ${JSON.stringify(name)}, which is no resolver`
      )
    }
    const targets: Array<TcpRoute.Target> = []
    for (const id of [resolver.Target, ...(resolver.Failover?.Targets ?? [])]) {
      const target = chain.Targets[id]
      if (target === undefined) return yield* Result.fail(`the chain of ${chain.ServiceName} lacks its target ${id}`)
      targets.push(toTarget(target))
    }
    const [first, ...rest] = targets
    return first === undefined
      ? yield* Result.fail(`the chain of ${chain.ServiceName} has no target`)
      : {
        targets: [first, ...rest] as const,
        connectTimeoutMillis: TimerLimit.clamp(Duration.toMillis(resolver.ConnectTimeout ?? Duration.seconds(5))),
        ...Balancing.of(node?.LoadBalancer)
      }
  })

const toTarget = (target: DiscoveryChain.Target): TcpRoute.Target => ({
  ...gatewayOf(target),
  ...(target.Peer !== "" && { peer: target.Peer }),
  id: target.ID,
  service: target.Service,
  partition: target.Partition || "default",
  namespace: target.Namespace || "default",
  datacenter: target.Datacenter,
  filter: target.Subset.Filter,
  onlyPassing: target.Subset.OnlyPassing,
  sni: target.SNI
})

/** What is outside the mesh is behind no gateway of it. */
const gatewayOf = ({ External, MeshGateway }: DiscoveryChain.Target): Pick<TcpRoute.Target, "gateway"> => {
  const gateway = External ? undefined : TcpRoute.gatewaySetting(MeshGateway.Mode)
  return gateway === undefined || gateway === "none" ? {} : { gateway }
}
