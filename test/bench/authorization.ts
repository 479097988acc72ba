/**
 * What one authorization costs, with 10, 1,000 and 10,000 intentions on one destination, beside the lookup of the same name
 * in a plain Map. Runs alone too: `node test/bench/authorization.ts`.
 */
import { pathToFileURL } from "node:url"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Authorizer from "../../src/intention/Authorizer.ts"
import * as HttpRequest from "../../src/intention/HttpRequest.ts"
import * as Intention from "../../src/intention/Intention.ts"
import { table } from "./table.ts"

const trustDomain = "11111111-2222-3333-4444-555555555555.consul"

/** Nanoseconds for one operation: medians over the rounds, which alternate between the operations. */
const measure = (operations: ReadonlyArray<(turn: number) => unknown>, turns: number): ReadonlyArray<number> => {
  const rounds = 11
  const samples = operations.map((): Array<number> => [])
  let sink = 0
  for (let round = -2; round < rounds; round++) {
    operations.forEach((operation, index) => {
      const start = process.hrtime.bigint()
      for (let turn = 0; turn < turns; turn++) if (operation(turn) !== undefined) sink++
      const spent = Number(process.hrtime.bigint() - start) / turns
      if (round >= 0) samples[index]!.push(spent) // the first rounds only warm up
    })
  }
  if (sink === 0) throw new Error("the operations did nothing")
  return samples.map((each) => each.toSorted((a, b) => a - b)[Math.floor(rounds / 2)]!)
}

/** Fresh strings, as certificates yield them: nothing is shared with what the policy holds. */
const fresh = (text: string): string => Buffer.from(text).toString()

/** Callers of all kinds: with an intention of their own, covered by `*` only, and from another namespace. */
const callersOf = (count: number): ReadonlyArray<SpiffeId.Service> =>
  Array.from({ length: 1024 }, (_, index) =>
    SpiffeId.service({
      trustDomain: fresh(trustDomain),
      datacenter: "dc1",
      namespace: fresh(index % 16 === 0 ? "other" : "default"),
      service: fresh(index % 2 === 0 ? `service-${(index * 7919) % count}` : `stranger-${index}`)
    }))

const sizes = [10, 1_000, 10_000] as const

export interface Row {
  readonly question: string
  /** Intentions, or permissions of one intention. */
  readonly size: number
  readonly nanoseconds: number
  readonly mapNanoseconds: number
}

const connection = (count: number): Row => {
  const intentions = [
    ...Array.from(
      { length: count - 2 },
      (_, index) => Intention.make(`service-${index}`, "api", index % 2 === 0 ? "allow" : "deny")
    ),
    Intention.make("*", "api", "deny"),
    Intention.make("*", "*", "allow")
  ]
  const authorizer = Authorizer.compile({
    destination: { service: "api" },
    trustDomain,
    intentions,
    defaultPolicy: "deny"
  })
  const callers = callersOf(count)
  const map = new Map(intentions.map((intention) => [intention.SourceName, intention]))
  const any = map.get("*")
  const [nanoseconds, mapNanoseconds] = measure([
    (turn) => authorizer.connection(callers[turn & 1023]!),
    (turn) => map.get(callers[turn & 1023]!.service) ?? any
  ], 200_000)
  return { question: "connection", size: count, nanoseconds: nanoseconds!, mapNanoseconds: mapNanoseconds! }
}

/** The last of 20 permissions matches: every one before it is looked at. */
const request = (): Row => {
  const permissions = Array.from({ length: 20 }, (_, index): Intention.Permission => ({
    Action: index % 2 === 0 ? "allow" : "deny",
    HTTP: index % 4 === 3
      ? { PathRegex: `/v${index}/[a-z]+/.*`, Methods: ["GET"] }
      : index % 4 === 2
      ? { PathPrefix: "/v", Header: [{ Name: "x-team", Exact: `team-${index}` }] }
      : { PathPrefix: `/v${index}/`, Methods: ["GET", "POST"] }
  }))
  const authorizer = Authorizer.compile({
    destination: { service: "api", protocol: "http" },
    trustDomain,
    intentions: [Intention.make("web", "api", permissions)],
    defaultPolicy: "deny"
  })
  const web = SpiffeId.service({ trustDomain, datacenter: "dc1", service: "web" })
  const headers = ["Host", "api", "User-Agent", "bench", "Accept", "*/*", "X-Team", "team-x", "X-Request-Id", "1"]
  const map = new Map([["web", permissions]])
  const paths = Array.from({ length: 64 }, (_, index) => fresh(`/v19/items/${index}?page=1`))
  const [nanoseconds, mapNanoseconds] = measure([
    (turn) => authorizer.request(web, HttpRequest.fromRaw("GET", paths[turn & 63]!, headers)),
    () => map.get(web.service)
  ], 50_000)
  return { question: "request, 20 permissions", size: 20, nanoseconds: nanoseconds!, mapNanoseconds: mapNanoseconds! }
}

export const run = (): ReadonlyArray<Row> => [...sizes.map(connection), request()]

/** A table; the last column holds each line against the first of its question. */
export const format = (rows: ReadonlyArray<Row>): string => {
  const first = new Map<string, Row>()
  for (const row of rows) if (!first.has(row.question)) first.set(row.question, row)
  const cells = rows.map((row) => [
    row.question,
    String(row.size),
    row.nanoseconds.toFixed(0),
    row.mapNanoseconds.toFixed(0),
    (row.nanoseconds / row.mapNanoseconds).toFixed(1),
    (row.nanoseconds / first.get(row.question)!.nanoseconds).toFixed(2)
  ])
  return table([["one authorization", "rules", "ns", "Map ns", "x Map", "x smallest"], ...cells])
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.stdout.write(`${format(run())}\n`)
}
