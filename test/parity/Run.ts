/** All scenarios, over as many meshes as play at once. */
import { Effect, type Schema } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Logs from "./Logs.ts"
import * as Mesh from "./Mesh.ts"
import * as Player from "./Player.ts"
import * as Recording from "./Recording.ts"
import * as Verdict from "./Verdict.ts"

export interface Options {
  readonly strict: boolean
  /** Whether a scenario that differs is played once more, with more time for changes to arrive. */
  readonly again: boolean
  readonly meshes: number
  /** A command that starts a sidecar. Absent: those of this project. */
  readonly proxy: string | undefined
  /** Told as it goes. */
  readonly said: (line: string) => void
}

export interface Result {
  /** Of every request, in the order of the recordings. */
  readonly verdicts: ReadonlyArray<Verdict.Verdict>
  /** How many scenarios were right only when they were played again. */
  readonly again: number
}

export const run = Effect.fnUntraced(function*(scenarios: ReadonlyArray<Recording.Scenario>, options: Options) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "parity-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const verdicts = new Map<Recording.Scenario, ReadonlyArray<Verdict.Verdict>>()
  let again = 0
  const judge = (scenario: Recording.Scenario, seen: ReadonlyArray<Schema.JsonObject>) =>
    seen.map((got, number) => Verdict.byList(scenario, number, got, options.strict))

  const playOn = (stage: Player.Stage, scenario: Recording.Scenario) =>
    Effect.gen(function*() {
      let list = judge(scenario, yield* Player.play(stage, scenario, false))
      if (options.again && list.some(Verdict.isBad)) {
        list = judge(scenario, yield* Player.play(stage, scenario, true))
        if (!list.some(Verdict.isBad)) again++
      }
      verdicts.set(scenario, list)
    })

  const playAll = (policy: Mesh.DefaultPolicy) =>
    Effect.gen(function*() {
      const waiting = scenarios.filter(({ defaultPolicy = "allow" }) => defaultPolicy === policy)
      const meshes = Mesh.realAgent === undefined ? Math.min(options.meshes, Math.ceil(waiting.length / 10)) : 1
      const worker = (number: number) =>
        Effect.scoped(Effect.gen(function*() {
          const mesh = yield* Mesh.make(policy, options.proxy)
          const stage = { mesh, logs: Logs.make(join(folder, `${policy}-${number}.log`)) }
          for (let scenario = waiting.shift(); scenario !== undefined; scenario = waiting.shift()) {
            const from = performance.now()
            yield* playOn(stage, scenario)
            options.said(`${Recording.titleOf(scenario)} ${Math.round(performance.now() - from)} ms`)
          }
        }))
      yield* Effect.forEach(Array.from({ length: meshes }, (_, i) => i), worker, { concurrency: "unbounded" })
    })

  yield* playAll("allow")
  yield* playAll("deny")
  const result: Result = { verdicts: scenarios.flatMap((scenario) => verdicts.get(scenario) ?? []), again }
  return result
})
