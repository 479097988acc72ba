/** All scenarios, over as many meshes as play at once. */
import { Effect } from "effect"
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
  readonly starter: Mesh.Starter
  /** Told as it goes. */
  readonly said: (line: string) => void
}

export interface Result {
  /** Of every request, in the order of the recordings. */
  readonly verdicts: ReadonlyArray<Verdict.Verdict>
  /** How many scenarios were right only when they were played again. */
  readonly again: number
}

/**
 * More scenarios than these are not late: they are wrong, and playing them again would only take its time. What still differs may
 * depend on times that a busy machine does not keep: it is played once more, with nothing beside it.
 */
const few = 60
const veryFew = 5

export const run = Effect.fnUntraced(function*(scenarios: ReadonlyArray<Recording.Scenario>, options: Options) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "parity-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const verdicts = new Map<Recording.Scenario, ReadonlyArray<Verdict.Verdict>>()
  const isWrong = (scenario: Recording.Scenario) => verdicts.get(scenario)?.some(Verdict.isBad) ?? true
  // A real Consul may be of another version, which does not know the entries.
  const real = options.starter._tag === "Fed" && options.starter.consul !== undefined
  const refused = new Set<Recording.Scenario>()
  let again = 0

  /** An agent that refuses the entries of a scenario makes every request of it wrong, and no other. */
  const play = (stage: Player.Stage, scenario: Recording.Scenario, patient: boolean) =>
    Effect.gen(function*() {
      const from = performance.now()
      const seen = yield* Effect.catch(
        Player.play(stage, scenario, patient),
        ({ message }) => {
          if (real) refused.add(scenario)
          return Effect.succeed(scenario.requests.map(() => ({ refused: message })))
        }
      )
      if (refused.has(scenario)) return void verdicts.set(scenario, [])
      verdicts.set(scenario, seen.map((got, number) => Verdict.byList(scenario, number, got, options)))
      options.said(`${Recording.titleOf(scenario)}: ${Math.round(performance.now() - from)} ms`)
    })

  /** Each mesh takes the next scenario as soon as it is done with one. */
  const playAll = (stages: ReadonlyArray<Player.Stage>, all: ReadonlyArray<Recording.Scenario>, patient: boolean) => {
    const waiting = [...all]
    const worker = Effect.fnUntraced(function*(stage: Player.Stage) {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) yield* play(stage, next, patient)
    })
    return Effect.forEach(stages, worker, { concurrency: "unbounded", discard: true })
  }

  for (const policy of ["allow", "deny"] as const) {
    const mine = scenarios.filter(({ defaultPolicy = "allow" }) => defaultPolicy === policy)
    if (mine.length === 0) continue
    yield* Effect.scoped(Effect.gen(function*() {
      const meshes = Mesh.realAgent === undefined || Mesh.hasOwn(options.starter)
        ? Math.min(options.meshes, Math.ceil(mine.length / 10))
        : 1
      const stages = yield* Effect.forEach(
        Array.from({ length: meshes }, (_, i) => join(folder, `${policy}-${i}.log`)),
        (path) => Effect.map(Mesh.make(policy, options.starter), (mesh) => ({ mesh, logs: Logs.make(path) }))
      )
      yield* playAll(stages, mine, false)
      const wrong = mine.filter(isWrong)
      if (!options.again || wrong.length > few) return
      yield* playAll(stages, wrong, true)
      const still = wrong.filter(isWrong)
      if (still.length <= veryFew) yield* playAll(stages.slice(0, 1), still, true)
      again += wrong.filter((scenario) => !isWrong(scenario)).length
    }))
  }
  if (real) options.said(`${refused.size} scenarios have entries that this Consul refuses`)
  const result: Result = { verdicts: scenarios.flatMap((scenario) => verdicts.get(scenario) ?? []), again }
  return result
})
