/**
 * What several workers say of themselves, as if one process had said it: what is counted is added up, of times and states the worst
 * holds, and what is the same for each of them is that of the first. Lists are in the order of the workers; none is empty. Pure.
 */
import type * as Documents from "../Documents.ts"

type All<A> = ReadonlyArray<A>

/** Of what has the same key. */
const grouped = <A>(lists: All<ReadonlyArray<A>>, key: (one: A) => string, merge: (same: All<A>) => A) =>
  Array.from(Map.groupBy(lists.flat(), key).values(), merge)

const bySidecar = <A extends { readonly name: string }>(
  documents: All<{ readonly sidecars: ReadonlyArray<A> }>,
  merge: (same: All<A>) => A
): { readonly sidecars: ReadonlyArray<A> } => ({
  sidecars: grouped(documents.map(({ sidecars }) => sidecars), ({ name }) => name, merge)
})

const sum = <A>(all: All<A>, of: (one: A) => number): number => all.reduce((total, one) => total + of(one), 0)

const first = <A>(all: All<A>): A => all[0]!

const least = <A>(all: All<A>, of: (one: A) => number): A => all.reduce((a, b) => of(b) < of(a) ? b : a)

/** A worker that does not answer has a problem in place of a document. */
export const readiness = (
  workers: All<{ readonly worker: number; readonly said: Documents.Readiness | string }>
): Documents.Readiness => {
  const sidecars = grouped(
    workers.map(({ said, worker }) =>
      typeof said === "string"
        ? [{ name: `worker ${worker}`, ready: false, problems: [said] }]
        : said.sidecars.map(({ name, problems, ready }) => ({
          name,
          ready,
          problems: problems.map((problem) => `worker ${worker}: ${problem}`)
        }))
    ),
    ({ name }) => name,
    (same) => ({
      name: first(same).name,
      ready: same.every(({ ready }) => ready),
      problems: same.flatMap(({ problems }) => problems)
    })
  )
  return { ready: sidecars.length > 0 && sidecars.every(({ ready }) => ready), sidecars }
}

/** Each worker has asked for its own. */
export const certificates = (all: All<typeof Documents.Certificates.Type>): typeof Documents.Certificates.Type =>
  bySidecar(all, (same) => least(same, ({ leaf }) => leaf?.secondsLeft ?? Number.POSITIVE_INFINITY))

const refusals = (all: All<ReadonlyArray<typeof Documents.Refusal.Type>>) =>
  grouped(all, ({ destination, rule, source }) => JSON.stringify([source, destination, rule]), (same) => ({
    ...first(same),
    refusals: sum(same, ({ refusals }) => refusals),
    audited: sum(same, ({ audited }) => audited)
  }))

export const intentions = (all: All<typeof Documents.Intentions.Type>): typeof Documents.Intentions.Type =>
  bySidecar(all, (same) => ({ ...first(same), refusals: refusals(same.map(({ refusals }) => refusals)) }))

/** At most `limit` of each sidecar. */
export const connections = (
  all: All<typeof Documents.Connections.Type>,
  limit: number
): typeof Documents.Connections.Type =>
  bySidecar(all, (same) => ({
    ...first(same),
    open: sum(same, ({ open }) => open),
    connections: same.flatMap(({ connections }) => connections).slice(0, limit)
  }))

interface Traffic {
  readonly open: number
  readonly accepted: number
  readonly sent: number
  readonly received: number
}

const traffic = (all: All<Traffic>): Traffic => ({
  open: sum(all, ({ open }) => open),
  accepted: sum(all, ({ accepted }) => accepted),
  sent: sum(all, ({ sent }) => sent),
  received: sum(all, ({ received }) => received)
})

/** Most in need of a look first. */
const states = ["Failed", "Starting", "Draining", "Listening"]

/** A listener that is in need of a look in one worker is. */
const listener = <A extends Pick<typeof Documents.Upstream.Type, "state">>(all: All<A>): A =>
  least(all, ({ state }) => states.indexOf(state))

const targets = (
  all: All<(typeof Documents.Upstream.Type)["targets"]>
): (typeof Documents.Upstream.Type)["targets"] => {
  const known = all.flatMap((targets) => targets === null ? [] : [targets])
  return known.length === 0 ? null : grouped(known, ({ id }) => id, (same) => {
    const lists = same.flatMap(({ instances }) => instances === null ? [] : [instances])
    return {
      ...first(same),
      instances: lists.length === 0 ? null : grouped(lists, ({ address, id }) => `${id} ${address}`, (one) => ({
        ...first(one),
        ejected: one.some(({ ejected }) => ejected),
        active: sum(one, ({ active }) => active)
      }))
    }
  })
}

export const upstreams = (all: All<typeof Documents.Upstreams.Type>): typeof Documents.Upstreams.Type =>
  bySidecar(all, (sidecars) => ({
    ...first(sidecars),
    upstreams: grouped(sidecars.map(({ upstreams }) => upstreams), ({ listener }) => listener, (same) => ({
      ...listener(same),
      ...traffic(same),
      failed: sum(same, ({ failed }) => failed),
      targets: targets(same.map(({ targets }) => targets))
    }))
  }))

/** As fresh as that of the worker that has waited longest. */
export const watches = (all: All<ReadonlyArray<Documents.Watch>>): ReadonlyArray<Documents.Watch> =>
  grouped(
    all,
    ({ subject, watch }) => JSON.stringify([watch, subject]),
    (same) => same.find(({ current }) => !current) ?? least(same, ({ answeredAt }) => Date.parse(answeredAt ?? "") || 0)
  )

const requests = (all: All<Documents.Requests | null>): Documents.Requests | null => {
  const known = all.flatMap((each) => each === null ? [] : [each])
  if (known.length === 0) return null
  const codes: Record<string, number> = {}
  for (const each of known) {
    for (const [code, count] of Object.entries(each.codes)) codes[code] = (codes[code] ?? 0) + count
  }
  const durations = new Map<number, number>()
  for (const { durations: buckets } of known) {
    for (const [border, count] of buckets) durations.set(border, (durations.get(border) ?? 0) + count)
  }
  return {
    total: sum(known, ({ total }) => total),
    failed: sum(known, ({ failed }) => failed),
    codes,
    durations: [...durations]
  }
}

const summary = (all: All<Documents.Summary>): Documents.Summary => {
  const inbound = all.map(({ inbound }) => inbound)
  const refused: Record<string, number> = {}
  for (const each of inbound) {
    for (const [reason, count] of Object.entries(each.refused)) refused[reason] = (refused[reason] ?? 0) + count
  }
  return {
    ...first(all),
    phase: all.find(({ phase }) => phase !== "serving")?.phase ?? "serving",
    leaf: least(all, ({ leaf }) => leaf?.secondsLeft ?? Number.POSITIVE_INFINITY).leaf,
    inbound: {
      ...traffic(inbound),
      cut: sum(inbound, ({ cut }) => cut),
      failed: sum(inbound, ({ failed }) => failed),
      refused
    },
    callers: grouped(all.map(({ callers }) => callers), ({ service }) => service, (same) => ({
      service: first(same).service,
      ...traffic(same),
      requests: requests(same.map(({ requests }) => requests)),
      refusals: refusals(same.map(({ refusals }) => refusals))
    })),
    upstreams: grouped(all.map(({ upstreams }) => upstreams), ({ listener }) => listener, (same) => ({
      ...listener(same),
      ...traffic(same),
      failed: sum(same, ({ failed }) => failed),
      requests: requests(same.map(({ requests }) => requests)),
      instances: same.map(({ instances }) => instances).reduce(worst)
    }))
  }
}

type Instances = Documents.UpstreamSummary["instances"]

const worst = (a: Instances, b: Instances): Instances =>
  a === null || b === null ? a ?? b : b.healthy - b.ejected < a.healthy - a.ejected ? b : a

/** `process` is what the program says of itself. */
export const snapshot = (
  all: All<Documents.Snapshot>,
  process: Pick<Documents.Snapshot, "at" | "uptimeSeconds" | "sidecars">
): Documents.Snapshot => {
  const summaries = all.flatMap(({ sidecar }) => sidecar === null ? [] : [sidecar])
  const named = summaries[0]?.name
  return {
    ...first(all),
    ...process,
    sidecar: named === undefined ? null : summary(summaries.filter(({ name }) => name === named)),
    watches: watches(all.map(({ watches }) => watches))
  }
}

export const graph = (all: All<Documents.Graph>): Documents.Graph => ({
  ...first(all),
  services: grouped(all.map(({ services }) => services), ({ name }) => name, (same) => ({
    ...(same.find(({ sidecar }) => sidecar !== null) ?? first(same)),
    ready: same.some(({ ready }) => ready === false) ? false : same.find(({ ready }) => ready !== null)?.ready ?? null,
    open: sum(same, ({ open }) => open),
    cut: sum(same, ({ cut }) => cut)
  })),
  edges: grouped(
    all.map(({ edges }) => edges),
    ({ destination, source }) => JSON.stringify([source, destination]),
    (same) => ({
      ...(same.find(({ verdict }) => verdict !== null) ?? first(same)),
      upstream: same.some(({ upstream }) => upstream),
      ...traffic(same),
      requests: requests(same.map(({ requests }) => requests)),
      refusals: refusals(same.map(({ refusals }) => refusals))
    })
  )
})

export const leaving = (all: All<typeof Documents.Leaving.Type>): typeof Documents.Leaving.Type => bySidecar(all, first)

export const reauthorization = (
  all: All<typeof Documents.Reauthorization.Type>
): typeof Documents.Reauthorization.Type =>
  bySidecar(all, (same) => ({
    ...first(same),
    judged: sum(same, ({ judged }) => judged),
    cut: sum(same, ({ cut }) => cut)
  }))

/** One that could not be renewed says so. */
export const renewal = (all: All<typeof Documents.Renewal.Type>): typeof Documents.Renewal.Type =>
  bySidecar(all, (same) => same.find(({ renewed }) => !renewed) ?? first(same))
