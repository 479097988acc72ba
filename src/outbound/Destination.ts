/** Where calls to a service go now: targets in order of preference, each with its list of instances. */
import type * as TcpRoute from "../route/TcpRoute.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import type * as Endpoints from "../watch/Endpoints.ts"
import type * as Watched from "../watch/Watched.ts"
import type * as Connect from "./Connect.ts"
import * as DialError from "./DialError.ts"

/** A target and its instances. */
export interface TargetInstances {
  readonly target: TcpRoute.Target
  readonly instances: Watched.Watched<ReadonlyArray<Endpoints.Endpoint>>
  /** The list leaves out unhealthy instances: a prepared query does so. */
  readonly onlyHealthy?: boolean | undefined
}

export interface Destination {
  readonly route: TcpRoute.TcpRoute
  /** In order of preference. */
  readonly targets: ReadonlyArray<TargetInstances>
}

export const isUnknown = (self: Destination | DialError.UnknownName): self is DialError.UnknownName => "why" in self

/** Undefined while it is not known where the calls go. */
export const known = (latest: Destination | DialError.UnknownName | undefined): Destination | undefined =>
  latest === undefined || isUnknown(latest) ? undefined : latest

export const hasHealthy = (list: ReadonlyArray<Endpoints.Endpoint>): boolean => list.some(({ weight }) => weight > 0)

/** Whether the lists that have arrived tell which target to call: a call fails over only from a target that is known. */
export const isDecided = ({ targets }: Destination): boolean => {
  for (const { instances } of targets) {
    const list = instances.latest()
    if (list === undefined) return false
    if (hasHealthy(list)) return true
  }
  return true
}

/** Whether the list of some target has arrived. */
export const isHeard = ({ targets }: Destination): boolean =>
  targets.some(({ instances }) => instances.latest() !== undefined)

/** Whether an instance is known, healthy or not. */
export const hasInstances = ({ targets }: Destination): boolean =>
  targets.some(({ instances }) => (instances.latest()?.length ?? 0) > 0)

/** The error of a call that has no instance to go to, with what speaks against those that are known. */
export const noHealthyInstance = ({ targets }: Destination): DialError.NoHealthyInstance => {
  const known = targets.flatMap(({ instances }) => instances.latest() ?? [])
  return new DialError.NoHealthyInstance({
    known: known.length,
    unhealthy: [...new Set(known.flatMap(({ unhealthy }) => unhealthy === undefined ? [] : [unhealthy]))],
    onlyHealthy: targets.some(({ onlyHealthy }) => onlyHealthy === true),
    ...(targets[0] === undefined ? {} : { cluster: clusterOf(targets[0].target) })
  })
}

/** Envoy's name of a target. */
export const clusterOf = ({ id, sni }: TcpRoute.Target): string => sni === "" ? id : sni

/** How an instance is reached, and which identity it has to present. */
export const dialling = (
  target: TcpRoute.Target,
  { address, expected, isGateway, sni = target.sni }: Endpoints.Endpoint,
  { leaf, roots }: SecureContexts.Material
): Pick<Connect.Options, "address" | "expected" | "isGateway" | "peer" | "sni"> => {
  const identity = (of: Endpoints.Expected) =>
    SpiffeId.service({
      ...of,
      trustDomain: of.trustDomain || roots.trustDomain,
      datacenter: of.datacenter || leaf.identity.datacenter
    })
  return {
    address,
    expected: expected === undefined ? identity(target) : expected.map(identity),
    isGateway,
    peer: target.peer,
    sni: sni === "" ? undefined : sni
  }
}

/** The service that is expected at an instance; a prepared query or a list may name another one than was asked for. */
export const serviceOf = (target: TcpRoute.Target, { expected }: Endpoints.Endpoint): string =>
  expected?.[0]?.service ?? target.service
