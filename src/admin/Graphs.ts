/** The services of a process and what is between them: who may call whom, and who does. Nothing here waits. */
import type { Context } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Authorizer from "../intention/Authorizer.ts"
import * as Decision from "../intention/Decision.ts"
import type * as Documents from "./Documents.ts"
import type * as Fleet from "./Fleet.ts"
import * as Health from "./Health.ts"
import * as Snapshots from "./Snapshots.ts"
import * as Views from "./Views.ts"

export interface Options {
  readonly members: ReadonlyArray<Fleet.Member>
  /** Holds the registry of metrics. */
  readonly context: Context.Context<never>
  /** In milliseconds. */
  readonly now: number
}

interface Service {
  readonly running: Views.Running
  readonly summary: Documents.Summary
}

/** Beyond so many services, only pairs that have something to do with each other. */
const most = 60

/** Several sidecars of one service count as the first of them. */
export const of = ({ context, members, now }: Options): Pick<Documents.Graph, "services" | "edges"> => {
  const services = new Map<string, Service>()
  const requests = Snapshots.requestCounts(context)
  for (const running of Views.running(members)) {
    const { service } = running.head
    if (!services.has(service)) services.set(service, { running, summary: Snapshots.summary(running, requests, now) })
  }
  const names = new Set([
    ...services.keys(),
    ...[...services.values()].flatMap(({ summary }) => [
      ...summary.callers.map(({ service }) => service),
      ...summary.upstreams.map(({ service }) => service)
    ])
  ])
  const edges = [...names].flatMap((destination) =>
    [...names].flatMap((source) => source === destination ? [] : edgeOf(services, source, destination))
  )
  return {
    services: Array.from(names, (name) => serviceOf(name, services.get(name), now)),
    edges: names.size <= most ?
      edges :
      edges.filter(({ accepted, refusals, upstream }) => upstream || accepted > 0 || refusals.length > 0)
  }
}

const serviceOf = (name: string, known: Service | undefined, now: number): Documents.Graph["services"][number] => ({
  name,
  sidecar: known?.running.head.name ?? null,
  ready: known === undefined ? null : Health.problems(known.running.sidecar, now).length === 0,
  protocol: known?.summary.protocol ?? null,
  open: known?.summary.inbound.open ?? 0,
  cut: known?.summary.inbound.cut ?? 0
})

const edgeOf = (
  services: ReadonlyMap<string, Service>,
  source: string,
  destination: string
): ReadonlyArray<Documents.Edge> => {
  const from = services.get(source)
  const to = services.get(destination)
  const caller = to?.summary.callers.find(({ service }) => service === source)
  const upstream = from?.summary.upstreams.find(({ service }) => service === destination)
  const authorizer = to?.running.sidecar.authorizer?.latest()
  const verdict = to === undefined || authorizer === undefined ? unknown : verdictOf(authorizer, from, to, source)
  if (to === undefined && upstream === undefined) return []
  return [{
    source,
    destination,
    ...verdict,
    upstream: upstream !== undefined,
    open: caller?.open ?? 0,
    accepted: caller?.accepted ?? 0,
    sent: caller?.sent ?? 0,
    received: caller?.received ?? 0,
    requests: caller?.requests ?? upstream?.requests ?? null,
    refusals: caller?.refusals ?? []
  }]
}

const unknown: Pick<Documents.Edge, "verdict" | "because" | "rule"> = { verdict: null, because: null, rule: null }

const verdictOf = (
  authorizer: Authorizer.Authorizer,
  from: Service | undefined,
  to: Service,
  source: string
): typeof unknown => {
  const own = to.running.sidecar.material?.().leaf.identity
  if (own === undefined) return unknown
  const identity = from?.running.sidecar.material?.().leaf.identity ??
    SpiffeId.service({ trustDomain: own.trustDomain, datacenter: own.datacenter, service: source })
  const decision = authorizer.connection(identity)
  const rule = decision.by
  const byRequest = rule?.action === "permissions"
  return {
    verdict: byRequest ? "requests" : decision.allowed ? "allow" : "deny",
    because: byRequest
      ? `each request is judged by the permissions of intention ${Decision.formatRule(rule)}`
      : Decision.explain(decision),
    rule: rule === undefined ? null : {
      source: rule.source,
      destination: rule.destination,
      precedence: rule.precedence,
      action: rule.action
    }
  }
}
