/** A process at one moment: counts of its listeners, and its metrics by caller and upstream. Nothing here waits. */
import { type Context, Metric } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as Listening from "../net/Listening.ts"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import type * as Listener from "../sidecar/Listener.ts"
import type * as Sidecar from "../sidecar/Sidecar.ts"
import type * as Documents from "./Documents.ts"
import * as Views from "./Views.ts"

/** `now` in milliseconds. */
export const summary = (
  { head, sidecar, status }: Views.Running,
  requestsOf: RequestCounts,
  now: number
): Documents.Summary => {
  const { registration } = status
  const material = sidecar.material?.()
  const root = material?.roots.roots.find(({ active }) => active) ?? material?.roots.roots[0]
  const requests = (direction: MetricCatalogue.Direction, other: string) => requestsOf(head.service, direction, other)
  const inbound = status.listeners.filter(({ direction }) => direction === "inbound")
  return {
    ...head,
    identity: material === undefined ? null : SpiffeId.format(material.leaf.identity),
    protocol: registration.protocol ?? "tcp",
    application: registration.application === undefined ? null : Listening.format(registration.application),
    listen: inbound.find(({ name }) => name === "public")?.address ?? null,
    phase: status.phase,
    audited: sidecar.authorizer?.latest()?.audited ?? false,
    leaf: material === undefined ? null : Views.certificate(material.leaf.certificate, now),
    root: root === undefined ? null : Views.certificate(root.certificate, now),
    inbound: { ...inboundOf(inbound), refused: refusedBy(status.listeners) },
    callers: callersOf(inbound, Views.refusals(status), (caller) => requests("inbound", caller)),
    upstreams: Views.upstreamsOf(status).map(([one, way]) => upstreamOf(one, way, requests("outbound", one.service)))
  }
}

const inboundOf = (
  listeners: ReadonlyArray<Sidecar.ListenerStatus>
): Omit<Documents.Summary["inbound"], "refused"> => {
  const sum = { open: 0, accepted: 0, sent: 0, received: 0, cut: 0, failed: 0 }
  for (const { counts } of listeners) {
    for (const key of ["open", "accepted", "sent", "received", "cut", "failed"] as const) sum[key] += counts[key]
  }
  return sum
}

/** By reason. Ports of an API gateway lead into the mesh, and refuse all the same. */
const refusedBy = (listeners: ReadonlyArray<Sidecar.ListenerStatus>): Documents.Summary["inbound"]["refused"] => {
  const refused: Record<string, number> = {}
  for (const { counts } of listeners) {
    for (const [reason, count = 0] of Object.entries(counts.refused)) refused[reason] = (refused[reason] ?? 0) + count
  }
  return refused
}

/** Whoever was let in, or has been refused. */
const callersOf = (
  listeners: ReadonlyArray<Sidecar.ListenerStatus>,
  refusals: ReadonlyArray<typeof Documents.Refusal.Type>,
  requests: (caller: string) => Documents.Requests | null
): ReadonlyArray<Documents.Caller> => {
  const callers = new Map(
    listeners.flatMap(({ details }) => details.callers()).map(({ caller, ...traffic }) => [caller, traffic])
  )
  const nothing = { open: 0, accepted: 0, sent: 0, received: 0 }
  for (const { source } of refusals) if (!callers.has(source)) callers.set(source, nothing)
  return Array.from(callers, ([service, traffic]) => ({
    service,
    ...traffic,
    requests: requests(service),
    refusals: refusals.filter(({ source }) => source === service)
  }))
}

const upstreamOf = (
  one: Sidecar.ListenerStatus,
  way: Listener.UpstreamDetails | undefined,
  requests: Documents.Requests | null
): Documents.UpstreamSummary => {
  const { accepted, failed, open, received, sent } = one.counts
  const lists = way?.targets()?.flatMap(({ instances }) => instances === undefined ? [] : [instances])
  const instances = lists?.flat()
  return {
    ...Views.listener(one),
    service: one.service,
    protocol: way?.protocol() ?? "tcp",
    open,
    accepted,
    sent,
    received,
    failed,
    requests,
    instances: lists === undefined || instances === undefined || lists.length === 0 ? null : {
      total: instances.length,
      healthy: instances.filter(({ weight }) => weight > 0).length,
      ejected: instances.filter(({ ejected }) => ejected).length
    }
  }
}

/** Of a service, in one direction, with the service on the other side. Null: there were none. */
export type RequestCounts = (
  service: string,
  direction: MetricCatalogue.Direction,
  other: string
) => Documents.Requests | null

type Mutable = {
  total: number
  failed: number
  codes: Record<string, number>
  durations: Documents.Requests["durations"]
}

/** From one look at the registry of metrics, which the context holds: there may be many services, and many series. */
export const requestCounts = (context: Context.Context<never>): RequestCounts => {
  const found = new Map<string, Mutable>()
  const of = (key: string): Mutable => {
    const known = found.get(key) ?? { total: 0, failed: 0, codes: {}, durations: [] }
    found.set(key, known)
    return known
  }
  for (const { attributes = {}, id, state } of Metric.snapshotUnsafe(context)) {
    if (id !== MetricCatalogue.requests.name && id !== MetricCatalogue.requestDuration.name) continue
    const other = attributes["direction"] === "inbound" ? attributes["source"] : attributes["destination"]
    const requests = of(`${attributes["service"]} ${attributes["direction"]} ${other}`)
    if ("buckets" in state) requests.durations = state.buckets
    else if ("count" in state) {
      const code = attributes["code"] ?? ""
      const count = Number(state.count)
      requests.total += count
      if (!/^[1-4]/.test(code)) requests.failed += count
      requests.codes[code] = (requests.codes[code] ?? 0) + count
    }
  }
  return (service, direction, other) => found.get(`${service} ${direction} ${other}`) ?? null
}
