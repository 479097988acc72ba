/**
 * Picks the instance that takes the next call to a service, for connections and for requests alike. Each target of the
 * destination has a balancer and a memory of failures; each instance has the number of calls that it is busy with.
 *
 *     pick ──▶ in use ──end──▶ free            report ──▶ ejected for a while, see `OutlierDetection`
 *
 * Targets are asked in their order. The first one with an instance that the call has not tried and that is not ejected
 * takes it. Where no target has one, an ejected instance is better than none, and then one that was tried before.
 *
 * A state machine without sockets, clock or randomness: what it is given determines what it picks. It follows the
 * destination and the lists of instances when it is asked, not in between.
 */
import { Equal } from "effect"
import * as LoadBalancer from "../balance/LoadBalancer.ts"
import * as OutlierDetection from "../balance/OutlierDetection.ts"
import * as Listening from "../net/Listening.ts"
import type * as TcpRoute from "../route/TcpRoute.ts"
import type * as Endpoints from "../watch/Endpoints.ts"
import * as Destination from "./Destination.ts"

export interface Instance<out R = unknown> {
  /** Node and service id. */
  readonly id: string
  readonly target: TcpRoute.Target
  readonly endpoint: Endpoints.Endpoint
  /** The service that is expected there, which may be another one than was asked for. */
  readonly service: string
  readonly address: string
  /** What the owner of the pool keeps for it, such as its connections. */
  readonly resource: R
  readonly weight: number
  /** Calls that were picked for it and have not ended. */
  readonly active: number
  /** Ends a call: once for each pick. */
  readonly end: () => void
  /** Tells how a call went. True: the instance is ejected for it. */
  readonly report: (succeeded: boolean, now: number, random: number) => boolean
}

export interface Call {
  /** In milliseconds, never going back. */
  readonly now: number
  /** From 0 up to but not including 1. */
  readonly random: () => number
  /** The ids of instances that earlier attempts at the same call went to. */
  readonly tried: ReadonlySet<string>
  /** Of the route's `hashBy`, for policies that send equal calls to one instance. */
  readonly hash?: number | undefined
}

export interface Pool<out R> {
  /** Undefined: no instance is healthy. The instance counts the call as active until `end`. */
  readonly pick: (destination: Destination.Destination, call: Call) => Instance<R> | undefined
  /** Whether a healthy instance is known that a call has not tried. */
  readonly hasUntried: (destination: Destination.Destination, tried: ReadonlySet<string>) => boolean
  /** Calls on all instances, those that have left among them. */
  readonly active: () => number
}

export interface Options<R> {
  /** Overrides the policy of the service-resolver. */
  readonly balancer?: LoadBalancer.Policy | undefined
  readonly outliers?: Partial<OutlierDetection.Options> | undefined
  /** For an instance that is new, or has another address or identity than before. */
  readonly open: (target: TcpRoute.Target, endpoint: Endpoints.Endpoint) => R
  /** The instance has left: it takes no new calls, and those at hand go on. */
  readonly retire: (resource: R) => void
}

/** The instances of one target. */
interface Member<R> {
  readonly balancer: LoadBalancer.LoadBalancer<Held<R>>
  readonly outliers: OutlierDetection.OutlierDetection
  readonly instances: Map<string, Held<R>>
  /** What `instances` was made from. */
  seen: ReadonlyArray<Endpoints.Endpoint> | undefined
}

interface Held<R> extends Instance<R> {
  weight: number
  active: number
}

export const make = <R>(options: Options<R>): Pool<R> => {
  const members = new Map<string, Member<R>>()
  /** Retired instances with calls that go on. */
  const leaving = new Set<Held<R>>()
  let current: Destination.Destination | undefined
  let policy: LoadBalancer.Policy | undefined

  const retire = (instance: Held<R>): void => {
    if (instance.active > 0) leaving.add(instance)
    options.retire(instance.resource)
  }

  const addInstance = (
    { instances, outliers }: Member<R>,
    target: TcpRoute.Target,
    endpoint: Endpoints.Endpoint
  ): void => {
    const { id, weight } = endpoint
    const instance: Held<R> = {
      id,
      target,
      endpoint,
      service: Destination.serviceOf(target, endpoint),
      address: Listening.format(endpoint.address),
      resource: options.open(target, endpoint),
      weight,
      active: 0,
      end: () => {
        instance.active--
        if (instance.active === 0) leaving.delete(instance)
      },
      report: (succeeded, now, random) => outliers.report(id, succeeded, now, random)
    }
    instances.set(id, instance)
  }

  /** Instances that stay keep their connections and their past. */
  const followList = (member: Member<R>, target: TcpRoute.Target, list: ReadonlyArray<Endpoints.Endpoint>): void => {
    if (list === member.seen) return
    member.seen = list
    const healthy = new Map(list.filter(({ weight }) => weight > 0).map((endpoint) => [endpoint.id, endpoint]))
    for (const [id, instance] of member.instances) {
      const endpoint = healthy.get(id)
      if (endpoint !== undefined && isSame(instance, endpoint)) continue
      member.instances.delete(id)
      retire(instance)
    }
    for (const [id, endpoint] of healthy) {
      const known = member.instances.get(id)
      if (known === undefined) addInstance(member, target, endpoint)
      else known.weight = endpoint.weight
    }
    member.balancer.update([...member.instances.values()])
    member.outliers.update([...member.instances.keys()])
  }

  /** Targets that stay keep their instances, as long as they are balanced in the same way. */
  const followTargets = (next: Destination.Destination, now: number): void => {
    if (next === current) return
    current = next
    const wanted = options.balancer ?? next.route.balancing?.policy ?? LoadBalancer.roundRobin
    const samePolicy = Equal.equals(policy, wanted)
    policy = wanted
    const ids = new Set(next.targets.map(({ target }) => target.id))
    for (const [id, member] of members) {
      if (ids.has(id) && samePolicy) continue
      members.delete(id)
      for (const instance of member.instances.values()) retire(instance)
    }
    for (const id of ids) {
      if (members.has(id)) continue
      members.set(id, {
        balancer: LoadBalancer.make(wanted),
        outliers: OutlierDetection.make({ ...OutlierDetection.defaults, ...options.outliers }, now),
        instances: new Map(),
        seen: undefined
      })
    }
  }

  const pickWithout = (
    { targets }: Destination.Destination,
    { hash, random }: Call,
    without: (member: Member<R>, id: string) => boolean
  ): Held<R> | undefined => {
    for (const { instances, target } of targets) {
      const list = instances.latest()
      const member = members.get(target.id)
      if (list === undefined || member === undefined) continue
      followList(member, target, list)
      const picked = member.balancer.pick({
        random,
        hash,
        active: (id) => member.instances.get(id)?.active ?? 0,
        without: (id) => without(member, id)
      })
      if (picked !== undefined) return picked
    }
    return undefined
  }

  return {
    pick: (destination, call) => {
      followTargets(destination, call.now)
      const { now, tried } = call
      const picked =
        pickWithout(destination, call, ({ outliers }, id) => tried.has(id) || outliers.isEjected(id, now)) ??
          pickWithout(destination, call, (_, id) => tried.has(id)) ??
          pickWithout(destination, call, () => false)
      if (picked !== undefined) picked.active++
      return picked
    },
    hasUntried: ({ targets }, tried) =>
      targets.some(({ instances }) => instances.latest()?.some(({ id, weight }) => weight > 0 && !tried.has(id))),
    active: () => {
      let sum = 0
      for (const { active } of leaving) sum += active
      for (const { instances } of members.values()) {
        for (const { active } of instances.values()) sum += active
      }
      return sum
    }
  }
}

/** Whether connections to an instance are connections to this endpoint. */
const isSame = ({ address, endpoint: { expected } }: Instance, endpoint: Endpoints.Endpoint): boolean =>
  Listening.format(endpoint.address) === address && Equal.equals(endpoint.expected, expected)
