/**
 * Picks the instance that takes the next call to a service, for connections and for requests alike. Each target of the
 * destination has a balancer and a memory of failures; each instance has the number of calls that it is busy with.
 *
 *     pick ──▶ in use ──end──▶ free            report ──▶ ejected for a while, see `OutlierDetection`
 *
 * Targets are asked in their order. The first one with an instance that the call has not tried and that is not ejected
 * takes it, unless the call has been to enough of its instances. Where no target has one, an ejected instance is better than none, and then one that was tried before.
 *
 * A state machine without sockets, clock or randomness: what it is given determines what it picks. It follows the
 * destination and the lists of instances when it is asked, not in between.
 */
import { Equal } from "effect"
import * as LoadBalancer from "../balance/LoadBalancer.ts"
import * as OutlierDetection from "../balance/OutlierDetection.ts"
import type * as TcpRoute from "../route/TcpRoute.ts"
import type * as Destination from "./Destination.ts"
import * as DestinationStatus from "./DestinationStatus.ts"
import type * as Tried from "./Tried.ts"
import * as TargetPicker from "./TargetPicker.ts"

export type Instance<R = unknown> = TargetPicker.Instance<R>

export interface Call {
  /** In milliseconds, never going back. */
  readonly now: number
  /** From 0 up to but not including 1. */
  readonly random: () => number
  /** Where earlier attempts at the same call went. */
  readonly tried: Tried.Tried
  /** Of the route's `hashBy`, for policies that send equal calls to one instance. */
  readonly hash?: number | undefined
}

export interface InstancePicker<out R> {
  /** Undefined: no instance is healthy. The instance counts the call as active until `end`. */
  readonly pick: (destination: Destination.Destination, call: Call) => Instance<R> | undefined
  /** Whether a healthy instance is known that is left to a call. */
  readonly hasUntried: (destination: Destination.Destination, tried: Tried.Tried) => boolean
  /** Calls on all instances, those that have left among them. */
  readonly active: () => number
  /** The instances, with what is remembered of them. */
  readonly status: (destination: Destination.Destination, now: number) => ReadonlyArray<DestinationStatus.TargetStatus>
}

export interface Options<R> extends Pick<TargetPicker.Options<R>, "open" | "retire"> {
  /** Overrides the policy of the service-resolver. */
  readonly balancer?: LoadBalancer.Policy | undefined
  readonly outliers?: Partial<OutlierDetection.Options> | undefined
  /**
   * `strict`: where all instances are ejected there is none, and a small service may have no instance to eject, as in Envoy's
   * sidecars. Default: `lenient`, an ejected instance is better than none.
   */
  readonly ejection?: "strict" | "lenient" | undefined
}

export const make = <R>(options: Options<R>): InstancePicker<R> => {
  const targets = new Map<string, TargetPicker.TargetPicker<R>>()
  const total = { active: 0 }
  let current: Destination.Destination | undefined
  let balancer: LoadBalancer.Policy | undefined
  const isStrict = options.ejection === "strict"

  const makeTarget = ({ peer }: TcpRoute.Target, balancer: LoadBalancer.Policy, now: number) =>
    TargetPicker.make({
      ...options,
      balancer,
      outliers: OutlierDetection.make({
        ...OutlierDetection.defaults,
        ...options.outliers,
        // Health says nothing of what the config entries of the peer make of its service (`agent/xds/clusters.go`).
        ...(peer === undefined ? {} : { maxEjectionPercent: 100 }),
        leastEjected: isStrict ? 0 : 1
      }, now),
      total
    })

  /** Targets that stay keep their instances, as long as they are balanced in the same way. */
  const follow = (next: Destination.Destination, now: number): void => {
    if (next === current) return
    current = next
    const wanted = options.balancer ?? next.route.balancing?.policy ?? LoadBalancer.roundRobin
    const isSamePolicy = Equal.equals(balancer, wanted)
    balancer = wanted
    const wantedTargets = new Map(next.targets.map(({ target }) => [target.id, target]))
    for (const [id, target] of targets) {
      if (wantedTargets.has(id) && isSamePolicy) continue
      targets.delete(id)
      target.retire()
    }
    for (const [id, target] of wantedTargets) if (!targets.has(id)) targets.set(id, makeTarget(target, wanted, now))
  }

  const pickWithout = (
    destination: Destination.Destination,
    { hash, random }: Call,
    without: (target: TargetPicker.TargetPicker<R>, id: string) => boolean,
    passes: Tried.Tried["passes"] = undefined
  ): Instance<R> | undefined => {
    for (const { instances, target } of destination.targets) {
      const list = instances.latest()
      const known = targets.get(target.id)
      if (list === undefined || known === undefined || passes?.(target.id) === true) continue
      known.update(target, list)
      const picked = known.pick({ random, hash, without: (id) => without(known, id) })
      if (picked !== undefined) return picked
    }
    return undefined
  }

  return {
    pick: (destination, call) => {
      const { now, tried } = call
      follow(destination, now)
      const best = pickWithout(
        destination,
        call,
        ({ isEjected }, id) => tried.has(id) || isEjected(id, now),
        tried.passes
      )
      if (best !== undefined) return best
      return isStrict
        ? pickWithout(destination, call, ({ isEjected }, id) => isEjected(id, now))
        : pickWithout(destination, call, (_, id) => tried.has(id)) ?? pickWithout(destination, call, () => false)
    },
    hasUntried: ({ targets }, tried) =>
      targets.some(({ instances, target }) =>
        tried.passes?.(target.id) !== true &&
        instances.latest()?.some(({ id, weight }) => weight > 0 && !tried.has(id)) === true
      ),
    active: () => total.active,
    status: (destination, now) => DestinationStatus.of(destination, (target, id) => targets.get(target)?.seen(id, now))
  }
}
