/** What two readings of the admin interface say, put together: who calls, who is called, how fast, and what is wrong. Pure. */
import type * as Documents from "../../admin/Documents.ts"
import type * as Reading from "./Reading.ts"
import * as Series from "./Series.ts"

export interface Overview {
  readonly sidecars: ReadonlyArray<Sidecar>
  /** Those that do not run. */
  readonly absent: ReadonlyArray<{ readonly name: string; readonly problems: ReadonlyArray<string> }>
  readonly watches: { readonly all: number; readonly stale: ReadonlyArray<Documents.Watch> }
}

export interface Sidecar {
  readonly service: string
  readonly proxy: string
  /** Empty: it is ready. */
  readonly problems: ReadonlyArray<string>
  /** Of the leaf, and of the root that signs. */
  readonly secondsLeft: { readonly leaf: number | undefined; readonly root: number | undefined }
  readonly callers: ReadonlyArray<Line>
  readonly upstreams: ReadonlyArray<Upstream>
  readonly refusals: ReadonlyArray<Refusal>
}

/** Between us and one service. */
export interface Line {
  readonly service: string
  /** Connections that are open. */
  readonly open: number
  /** Requests, or new connections where those are relayed. */
  readonly perSecond: number
  /** Seconds that half of the requests took at most, and nineteen of twenty. Undefined: there were none. */
  readonly median: number | undefined
  readonly slow: number | undefined
  /** The share of requests or connections that went wrong: status 5xx, or no answer. Undefined: there were none. */
  readonly wrong: number | undefined
  /** Bytes a second into the mesh and from it, over connections that are open. */
  readonly sent: number
  readonly received: number
}

export interface Upstream extends Line {
  readonly listener: string
  readonly address: string
  /** Of its listener. */
  readonly state: string
  readonly message: string | null
  /** Of all targets. Undefined: it is not known yet where calls go. */
  readonly instances: { readonly all: number; readonly healthy: number; readonly ejected: number } | undefined
}

/** Whom a rule refuses. */
export interface Refusal {
  readonly source: string
  readonly destination: string
  readonly rule: string
  readonly total: number
  readonly perSecond: number
}

type Connection = typeof Documents.Connection.Type

/** `before` and `now` are of the same process, or the same. */
export const make = (before: Reading.Reading, now: Reading.Reading): Overview => {
  const seconds = Math.max(0.001, (now.at - before.at) / 1000)
  const series = { before: bySides(before.metrics), now: bySides(now.metrics) }
  const running = new Set(now.certificates.sidecars.map(({ name }) => name))
  return {
    sidecars: now.certificates.sidecars.map((sidecar) => ofSidecar(before, now, { ...series, seconds }, sidecar)),
    absent: now.readiness.sidecars.filter(({ name }) => !running.has(name)),
    watches: {
      all: now.watches.watches.length,
      stale: now.watches.watches.filter(({ current }) => !current)
    }
  }
}

const ofSidecar = (
  before: Reading.Reading,
  now: Reading.Reading,
  rates: Pick<Measured, "before" | "now" | "seconds">,
  { leaf, name, proxy, roots, service }: (typeof Documents.Certificates.Type)["sidecars"][number]
): Sidecar => {
  const of = <S extends { readonly name: string }>({ sidecars }: { readonly sidecars: ReadonlyArray<S> }) =>
    sidecars.find((each) => each.name === name)
  const connections = of(now.connections)?.connections ?? []
  const earlier = new Map((of(before.connections)?.connections ?? []).map((each) => [keyOf(each), each]))
  const measured: Measured = { ...rates, service, earlier }
  return {
    service,
    proxy,
    problems: of(now.readiness)?.problems ?? [],
    secondsLeft: { leaf: leaf?.secondsLeft, root: roots.find(({ active }) => active)?.certificate.secondsLeft },
    callers: callers(
      measured,
      connections,
      Series.values(now.metrics, requests, { direction: "inbound", service }, "source")
    ),
    upstreams: (of(now.upstreams)?.upstreams ?? []).map((upstream) =>
      ofUpstream(
        measured,
        upstream,
        of(before.upstreams)?.upstreams.find(({ listener }) => listener === upstream.listener) ?? upstream,
        connections.filter(({ listener }) => listener === upstream.listener)
      )
    ),
    refusals: (of(now.intentions)?.refusals ?? []).map((refusal) => {
      const earlier = of(before.intentions)?.refusals.find((each) =>
        each.source === refusal.source && each.destination === refusal.destination && each.rule === refusal.rule
      )
      return {
        source: refusal.source,
        destination: refusal.destination,
        rule: refusal.rule,
        total: refusal.refusals,
        perSecond: (refusal.refusals - (earlier?.refusals ?? 0)) / rates.seconds
      }
    })
  }
}

interface Measured {
  readonly before: BySides
  readonly now: BySides
  readonly seconds: number
  /** Ours. */
  readonly service: string
  readonly earlier: ReadonlyMap<string, Connection>
}

/** Series by whom they are between: there are some twenty for each of perhaps hundreds of upstreams. */
type BySides = ReadonlyMap<string, ReadonlyArray<Series.Series>>

const bySides = (all: ReadonlyArray<Series.Series>): BySides =>
  Map.groupBy(
    all,
    ({ labels: { destination = "", direction = "outbound", service = "", source = "" } }) =>
      sidesOf(direction, service, direction === "inbound" ? source : destination)
  )

/** `service` is ours. */
const sidesOf = (direction: string, service: string, other: string): string => `${direction} ${service} ${other}`

const keyOf = ({ listener, openedAt, remote }: Connection): string => `${listener} ${remote} ${openedAt}`

const requests = "mesh_http_requests_total"
const durations = "mesh_http_request_duration_seconds"

/** One for each service that has called or is connected, the busiest first. */
const callers = (
  measured: Measured,
  connections: ReadonlyArray<Connection>,
  /** Those who have made requests. */
  known: ReadonlyArray<string>
): ReadonlyArray<Line> => {
  const { seconds, service } = measured
  const open = Map.groupBy(
    connections.filter(({ direction, peer }) => direction === "inbound" && peer !== null),
    ({ peer }) => serviceOf(peer!)
  )
  const lines = [...new Set([...open.keys(), ...known])].filter((name) => name !== "").map((name): Line => {
    const theirs = open.get(name) ?? []
    const opened = theirs.filter((each) => !measured.earlier.has(keyOf(each))).length
    const http = ofRequests(measured, sidesOf("inbound", service, name))
    return {
      service: name,
      open: theirs.length,
      ...http,
      perSecond: known.includes(name) ? http.perSecond : opened / seconds,
      ...bytes(measured, theirs)
    }
  })
  return lines.toSorted((a, b) => b.perSecond - a.perSecond || b.open - a.open || (a.service < b.service ? -1 : 1))
}

const ofUpstream = (
  measured: Measured,
  upstream: typeof Documents.Upstream.Type,
  before: typeof Documents.Upstream.Type,
  connections: ReadonlyArray<Connection>
): Upstream => {
  const { seconds, service } = measured
  const isHttp = upstream.protocol !== "tcp"
  const sides = sidesOf("outbound", service, upstream.service)
  const http = ofRequests(measured, sides)
  const accepted = upstream.accepted - before.accepted
  const unanswered = (series: BySides) => Series.sum(series.get(sides) ?? [], "mesh_connections_unanswered_total", {})
  const failed = upstream.failed - before.failed + unanswered(measured.now) - unanswered(measured.before)
  const instances = upstream.targets?.flatMap(({ instances }) => instances ?? [])
  return {
    service: upstream.service,
    listener: upstream.listener,
    address: upstream.address,
    state: upstream.state,
    message: upstream.message,
    open: upstream.open,
    ...http,
    perSecond: isHttp ? http.perSecond : accepted / seconds,
    wrong: isHttp ? http.wrong : accepted === 0 ? undefined : Math.min(1, failed / accepted),
    ...(isHttp ? bytes(measured, connections) : {
      sent: (upstream.sent - before.sent) / seconds,
      received: (upstream.received - before.received) / seconds
    }),
    instances: instances === undefined ? undefined : {
      all: instances.length,
      healthy: instances.filter(({ ejected, healthy }) => healthy && !ejected).length,
      ejected: instances.filter(({ ejected }) => ejected).length
    }
  }
}

const ofRequests = ({ before, now, seconds }: Measured, sides: string) => {
  const [earlier, current] = [before.get(sides) ?? [], now.get(sides) ?? []]
  const difference = (more: Series.Labels) => Series.sum(current, requests, more) - Series.sum(earlier, requests, more)
  const all = difference({})
  const wrong = Series.values(current, requests, {}, "code").filter(isWrong)
    .reduce((sum, code) => sum + difference({ code }), 0)
  return {
    perSecond: all / seconds,
    wrong: all === 0 ? undefined : wrong / all,
    median: Series.quantile(earlier, current, durations, {}, 0.5),
    slow: Series.quantile(earlier, current, durations, {}, 0.95)
  }
}

/** The application or the mesh has failed; 4xx is the caller's doing. */
const isWrong = (code: string): boolean =>
  code.startsWith("5") || code === "reset" || code === "unreachable" || code === "timed_out"

const bytes = ({ earlier, seconds }: Measured, connections: ReadonlyArray<Connection>) => {
  const moved = (count: (connection: Connection) => number) =>
    connections.reduce((sum, each) => {
      const before = earlier.get(keyOf(each))
      return sum + count(each) - (before === undefined ? 0 : count(before))
    }, 0) / seconds
  return { sent: moved(({ sent }) => sent), received: moved(({ received }) => received) }
}

/** `web` of `spiffe://…/svc/web`. */
const serviceOf = (identity: string): string => identity.slice(identity.lastIndexOf("/") + 1)
