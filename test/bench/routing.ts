/** What finding the route of a request costs, of 10, 100 and 1,000. Runs alone too: `node test/bench/routing.ts`. */
import { Result } from "effect"
import { pathToFileURL } from "node:url"
import * as ChainsOf from "../../src/agent/chain/ChainsOf.ts"
import * as HttpRequest from "../../src/intention/HttpRequest.ts"
import * as HttpRoutes from "../../src/route/HttpRoutes.ts"
import { table } from "./table.ts"

const sizes = [10, 100, 1_000] as const
const turns = 20_000
const rounds = 9

/** A condition for each of so many routes. */
const kinds = {
  "path prefix": (i: number) => ({ PathPrefix: `/service-${i}/` }),
  "exact path": (i: number) => ({ PathExact: `/service-${i}/x` }),
  "prefix and header": (i: number) => ({
    PathPrefix: `/service-${i}/`,
    Header: [{ Name: "x-version", Exact: String(i % 3) }]
  }),
  "header alone": (i: number) => ({ Header: [{ Name: "x-service", Exact: String(i) }] }),
  expression: (i: number) => ({ PathRegex: `/service-${i}/[a-z]+` })
} as const

type Kind = keyof typeof kinds

const finder = (kind: Kind, size: number) => {
  const routes = Array.from({ length: size }, (_, i) => ({ Match: { HTTP: kinds[kind](i) } }))
  const chains = Result.getOrThrow(ChainsOf.make([
    { Kind: "service-defaults", Name: "api", Protocol: "http" },
    { Kind: "service-router", Name: "api", Routes: routes }
  ]))
  const compiled = Result.getOrThrow(Result.flatMap(chains("api"), HttpRoutes.compile))
  const requests = Array.from({ length: size }, (_, i) =>
    HttpRequest.fromRaw("GET", `/service-${i}/x`, [
      ...["host", "api", "user-agent", "bench", "accept", "*/*"],
      ...["x-version", String(i % 3), "x-service", String(i)]
    ]))
  return (turn: number) => compiled.find(requests[turn % size]!)
}

/** Nanoseconds for a request, by size: medians over the rounds, which alternate between the sizes. */
const measure = (kind: Kind): ReadonlyArray<number> => {
  const finders = sizes.map((size) => finder(kind, size))
  const samples = sizes.map((): Array<number> => [])
  for (let round = -2; round < rounds; round++) {
    finders.forEach((find, index) => {
      const start = process.hrtime.bigint()
      for (let turn = 0; turn < turns; turn++) if (find(turn)?.written !== true) throw new Error("no route was found")
      const spent = Number(process.hrtime.bigint() - start) / turns
      if (round >= 0) samples[index]!.push(spent) // the first rounds only warm up
    })
  }
  return samples.map((each) => each.toSorted((a, b) => a - b)[Math.floor(rounds / 2)]!)
}

export interface Row {
  readonly kind: string
  readonly nanoseconds: ReadonlyArray<number>
}

export const run = (): ReadonlyArray<Row> =>
  (Object.keys(kinds) as Array<Kind>).map((kind) => ({ kind, nanoseconds: measure(kind) }))

export const format = (rows: ReadonlyArray<Row>): string =>
  table([
    ["routes by", ...sizes.map((size) => `of ${size}, ns`), "1,000 / 10"],
    ...rows.map(({ kind, nanoseconds }) => [
      kind,
      ...nanoseconds.map((each) => each.toFixed(0)),
      (nanoseconds.at(-1)! / nanoseconds[0]!).toFixed(2)
    ])
  ])

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.stdout.write(`${format(run())}\n`)
}
