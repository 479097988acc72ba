/** Which instances a request reaches over one leg, as far as that can be told beforehand. */
import * as LoadBalancer from "../balance/LoadBalancer.ts"
import type * as HttpRequest from "../intention/HttpRequest.ts"
import * as HashKey from "./HashKey.ts"
import type * as HttpRoutes from "./HttpRoutes.ts"
import type * as TcpRoute from "./TcpRoute.ts"

export interface Instance {
  readonly id: string
  /** 0: unhealthy. */
  readonly weight: number
  readonly unhealthy?: string | undefined
}

export interface InstanceShares {
  /** The first one with a healthy instance. Undefined: there is none, and requests are answered 503. */
  readonly target: TcpRoute.Target | undefined
  /** Healthy ones with their part of these requests. One that a hash chose has all. */
  readonly shares: ReadonlyArray<{ readonly instance: Instance; readonly share: number }>
  readonly unhealthy: ReadonlyArray<Instance>
  /** Whether equal requests go to one instance. */
  readonly hashed: boolean
}

/** `instances` by the ids of targets. */
export const make = (
  { hashBy }: HttpRoutes.Route,
  { to }: HttpRoutes.Leg,
  request: HttpRequest.HttpRequest,
  instances: ReadonlyMap<string, ReadonlyArray<Instance>>
): InstanceShares => {
  const of = ({ id }: TcpRoute.Target) => instances.get(id) ?? []
  const target = to.targets.find((target) => of(target).some(({ weight }) => weight > 0))
  const healthy = target === undefined ? [] : of(target).filter(({ weight }) => weight > 0)
  const policy = to.balancing?.policy ?? LoadBalancer.roundRobin
  const hash = HashKey.of(hashBy, {
    path: request.path,
    method: request.method,
    header: (name) => request.header(name)
  })
  const chosen = hash !== undefined && (policy._tag === "ring-hash" || policy._tag === "maglev")
    ? pick(policy, healthy, hash)
    : undefined
  const byWeight = policy._tag !== "random"
  const sum = healthy.reduce((sum, { weight }) => sum + (byWeight ? weight : 1), 0)
  return {
    target,
    shares: chosen !== undefined
      ? [{ instance: chosen, share: 1 }]
      : healthy.map((instance) => ({ instance, share: (byWeight ? instance.weight : 1) / sum })),
    unhealthy: to.targets.flatMap(of).filter(({ weight }) => weight === 0),
    hashed: chosen !== undefined
  }
}

const pick = (policy: LoadBalancer.Policy, hosts: ReadonlyArray<Instance>, hash: number): Instance | undefined => {
  const balancer = LoadBalancer.make<Instance>(policy)
  balancer.update(hosts)
  return balancer.pick({ random: () => 0, hash })
}
