/**
 * What it costs to look through the policy of a whole mesh: 100 services, 1,000 intentions, 200 of them with permissions.
 * Runs alone too: `node test/bench/policy.ts`.
 */
import { pathToFileURL } from "node:url"
import * as Difference from "../../src/policy/question/Difference.ts"
import * as Matrix from "../../src/policy/question/Matrix.ts"
import * as Mesh from "../../src/policy/Mesh.ts"
import * as Meshes from "../support/meshes.ts"
import { table } from "./table.ts"

export interface Row {
  readonly question: string
  readonly answer: string
  readonly milliseconds: number
  readonly limitMilliseconds: number
  /** Of the process, after the question. */
  readonly megabytes: number
}

const size = { services: 100, intentions: 1000, withPermissions: 200 }

const measure = (question: string, limitMilliseconds: number, ask: () => string): Row => {
  const start = process.hrtime.bigint()
  const answer = ask()
  const milliseconds = Number(process.hrtime.bigint() - start) / 1e6
  return { question, answer, milliseconds, limitMilliseconds, megabytes: process.memoryUsage.rss() / 2 ** 20 }
}

/** Once each, cold, as on the command line. */
export const run = (): ReadonlyArray<Row> => {
  const before = Meshes.policy({ ...size, seed: 1 })
  const after = Meshes.policy({ ...size, seed: 2 })
  return [
    measure("matrix", 2000, () => {
      const { allow, deny, some, undecided } = Matrix.counts(Matrix.make(Mesh.make(before)))
      return `${allow} allowed, ${some} some, ${deny} denied, ${undecided} not decided`
    }),
    measure("diff", 5000, () => {
      const { changes, undecided } = Difference.make(before, after)
      return `${changes.length} changes, ${undecided.length} not decided`
    })
  ]
}

export const format = (rows: ReadonlyArray<Row>): string => {
  return table([
    ["100 services, 1,000 intentions", "ms", "limit", "MiB", "answer"],
    ...rows.map(({ answer, limitMilliseconds, megabytes, milliseconds, question }) => [
      question,
      milliseconds.toFixed(0),
      String(limitMilliseconds),
      megabytes.toFixed(0),
      answer
    ])
  ], new Set([0, 4]))
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.stdout.write(`${format(run())}\n`)
}
