import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as Sweep from "../../src/net/Sweep.ts"
import * as Doubles from "../support/doubles.ts"
import { eventually } from "../support/sockets.ts"

describe("Sweep", () => {
  it.live("looks again and again, until its scope closes", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      let looks = 0
      yield* Scope.provide(Sweep.every(() => 1, () => looks++), scope)
      yield* eventually(() => looks > 2)
      yield* Scope.close(scope, Exit.void)
      const before = looks
      yield* Effect.scoped(Effect.gen(function*() {
        let others = 0
        yield* Sweep.every(() => 1, () => others++)
        yield* eventually(() => others > 2)
      }))
      assert.strictEqual(looks, before)
    }))

  it.live("says what has failed, and looks again", () => {
    const { lines, running } = Doubles.runner()
    return running(Effect.scoped(Effect.gen(function*() {
      let looks = 0
      yield* Sweep.every(() => 1, () => {
        if (++looks === 1) throw new Error("broken")
      })
      yield* eventually(() => looks > 2)
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "broken")
    })))
  })
})
