/** What is known of the instances of a destination now, for people. */
import * as Listening from "../net/Listening.ts"
import type * as TcpRoute from "../route/TcpRoute.ts"
import * as Destination from "./Destination.ts"

export interface InstanceStatus {
  /** Node and service id. */
  readonly id: string
  readonly address: string
  /** The service that has to answer there. */
  readonly service: string
  /** Share of the calls; 0: unhealthy. */
  readonly weight: number
  /** Why it is not called: `"Connect Sidecar Listening" is critical`. */
  readonly unhealthy: string | undefined
  /** Left out for a while, because calls to it fail. */
  readonly ejected: boolean
  /** Calls that it is busy with. */
  readonly active: number
}

export interface TargetStatus {
  readonly target: TcpRoute.Target
  /** Undefined: the list has not arrived. */
  readonly instances: ReadonlyArray<InstanceStatus> | undefined
}

/** What callers have seen of an instance. */
export type Seen = Pick<InstanceStatus, "ejected" | "active">

const unused: Seen = { ejected: false, active: 0 }

export const of = (
  { targets }: Destination.Destination,
  seen: (target: string, instance: string) => Seen | undefined
): ReadonlyArray<TargetStatus> =>
  targets.map(({ instances, target }) => ({
    target,
    instances: instances.latest()?.map((endpoint): InstanceStatus => ({
      id: endpoint.id,
      address: Listening.format(endpoint.address),
      service: Destination.serviceOf(target, endpoint),
      weight: endpoint.weight,
      unhealthy: endpoint.unhealthy,
      ...(seen(target.id, endpoint.id) ?? unused)
    }))
  }))

/** Several ways may lead to one target, each with a memory of its own: it is ejected where one of them has ejected it. */
export const merged = (all: ReadonlyArray<ReadonlyArray<TargetStatus>>): ReadonlyArray<TargetStatus> => {
  const byId = new Map<string, TargetStatus>()
  for (const status of all.flat()) {
    const known = byId.get(status.target.id)
    byId.set(status.target.id, known === undefined ? status : { ...known, instances: both(known, status) })
  }
  return [...byId.values()]
}

const both = (self: TargetStatus, that: TargetStatus): TargetStatus["instances"] => {
  const others = new Map(that.instances?.map((instance) => [instance.id, instance]))
  return self.instances?.map((instance) => {
    const other = others.get(instance.id) ?? unused
    return { ...instance, ejected: instance.ejected || other.ejected, active: instance.active + other.active }
  })
}
