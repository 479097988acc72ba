/** The instances of one target, with a balancer, a memory of failures and the calls that each is busy with. See `InstancePicker`. */
import { Equal } from "effect"
import * as LoadBalancer from "../balance/LoadBalancer.ts"
import * as OutlierDetection from "../balance/OutlierDetection.ts"
import * as Listening from "../net/Listening.ts"
import type * as TcpRoute from "../route/TcpRoute.ts"
import type * as Endpoints from "../watch/Endpoints.ts"
import * as Destination from "./Destination.ts"
import type * as DestinationStatus from "./DestinationStatus.ts"

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
  /** Begins a call that has been ended too early. */
  readonly begin: () => void
  /** Ends a call: once for each pick. */
  readonly end: () => void
  /** Tells how a call went. True: the instance is ejected for it. */
  readonly report: (succeeded: boolean, now: number, random: number) => boolean
}

export interface TargetPicker<out R> {
  /** Replaces the list. Instances that stay keep their connections and their past. */
  readonly update: (target: TcpRoute.Target, list: ReadonlyArray<Endpoints.Endpoint>) => void
  /** The instance counts the call as active until `end`. Undefined: all are left out. */
  readonly pick: (call: Omit<LoadBalancer.Pick, "active">) => Instance<R> | undefined
  readonly isEjected: (id: string, now: number) => boolean
  /** What is remembered of an instance. */
  readonly seen: (id: string, now: number) => DestinationStatus.Seen
  /** Retires all instances. */
  readonly retire: () => void
}

export interface Options<R> {
  readonly balancer: LoadBalancer.Policy
  readonly outliers: OutlierDetection.OutlierDetection
  /** For an instance that is new, or has another address, identity or SNI than before. */
  readonly open: (target: TcpRoute.Target, endpoint: Endpoints.Endpoint) => R
  /** The instance has left: it takes no new calls, and those at hand go on. */
  readonly retire: (resource: R) => void
  /** Calls on the instances of all targets, those that have left among them. */
  readonly total: { active: number }
}

interface Held<R> extends Instance<R> {
  weight: number
  active: number
}

export const make = <R>(options: Options<R>): TargetPicker<R> => {
  const { outliers, retire } = options
  const balancer = LoadBalancer.make<Held<R>>(options.balancer)
  const instances = new Map<string, Held<R>>()
  /** What `instances` was made from. */
  let seen: { readonly list: ReadonlyArray<Endpoints.Endpoint>; readonly sni: string } | undefined

  return {
    update: (target, list) => {
      if (list === seen?.list && target.sni === seen.sni) return
      seen = { list, sni: target.sni }
      const healthy = new Map(list.filter(({ weight }) => weight > 0).map((endpoint) => [endpoint.id, endpoint]))
      for (const [id, instance] of instances) {
        const endpoint = healthy.get(id)
        if (endpoint !== undefined && isSame(instance, target, endpoint)) continue
        instances.delete(id)
        retire(instance.resource)
      }
      for (const [id, endpoint] of healthy) {
        const known = instances.get(id)
        if (known === undefined) instances.set(id, makeInstance(target, endpoint, options))
        else known.weight = endpoint.weight
      }
      balancer.update([...instances.values()])
      outliers.update([...instances.keys()])
    },
    pick: (call) => {
      const picked = balancer.pick({ ...call, active: (id) => instances.get(id)?.active ?? 0 })
      if (picked === undefined) return undefined
      picked.begin()
      return picked
    },
    isEjected: outliers.isEjected,
    seen: (id, now) => ({ ejected: outliers.isEjected(id, now), active: instances.get(id)?.active ?? 0 }),
    retire: () => {
      for (const { resource } of instances.values()) retire(resource)
    }
  }
}

const makeInstance = <R>(
  target: TcpRoute.Target,
  endpoint: Endpoints.Endpoint,
  { open, outliers, total }: Options<R>
): Held<R> => {
  const { address, id, weight } = endpoint
  const instance: Held<R> = {
    id,
    target,
    endpoint,
    service: Destination.serviceOf(target, endpoint),
    address: Listening.format(address),
    resource: open(target, endpoint),
    weight,
    active: 0,
    begin: () => {
      instance.active++
      total.active++
    },
    end: () => {
      instance.active--
      total.active--
    },
    report: (succeeded, now, random) => outliers.report(id, succeeded, now, random)
  }
  return instance
}

/** Whether connections to an instance are connections to this endpoint of the target. */
const isSame = (
  instance: Instance,
  { sni }: TcpRoute.Target,
  { address, expected, isGateway, sni: ownSni }: Endpoints.Endpoint
): boolean =>
  isGateway === instance.endpoint.isGateway && ownSni === instance.endpoint.sni &&
  Listening.format(address) === instance.address && Equal.equals(expected, instance.endpoint.expected) &&
  sni === instance.target.sni
