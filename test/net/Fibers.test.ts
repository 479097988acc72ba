import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import * as Fibers from "../../src/net/Fibers.ts"

const start = Effect.gen(function*() {
  const scope = yield* Scope.make()
  const cuts: Array<string> = []
  return {
    ...yield* Scope.provide(Fibers.make(), scope),
    cuts,
    held: (name: string): Fibers.Held => ({ cut: () => void cuts.push(name) }),
    close: Scope.close(scope, Exit.void)
  }
})

describe("Fibers", () => {
  it.effect("cuts what is held once the scope closes, and not what has been released", () =>
    Effect.gen(function*() {
      const { close, cuts, held, hold, release } = yield* start
      const [one, other] = [held("one"), held("other")]
      assert.deepStrictEqual([hold(one), hold(other)], [true, true])
      release(one)
      yield* close
      assert.deepStrictEqual(cuts, ["other"])
      release(other)
      assert.isFalse(hold(one))
      assert.deepStrictEqual(cuts, ["other"])
    }))

  it.effect("is empty once all that was held is released and all fibers have ended", () =>
    Effect.gen(function*() {
      const { close, empty, held, hold, release, run } = yield* start
      yield* empty
      const [one, other] = [held("one"), held("other")]
      hold(one)
      hold(other)
      const waiting = yield* Effect.forkChild(empty, { startImmediately: true })
      release(one)
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      run(Effect.never)
      release(other)
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      yield* close
      yield* Fiber.join(waiting)
    }))
})
