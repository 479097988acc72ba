import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import * as OneATurn from "../../src/tls/OneATurn.ts"
import * as Turns from "../support/turns.ts"

describe("OneATurn.turn", () => {
  it.live("begins at once, and lets nobody else begin in the same turn", () =>
    Effect.gen(function*() {
      const counted = yield* Turns.counting
      const begun: Array<readonly [who: number, turn: number]> = []
      const work = (who: number) =>
        Effect.map(OneATurn.turn, () => {
          begun.push([who, counted.turn])
        })
      const fibers = yield* Effect.forEach([0, 1, 2, 3, 4], (who) =>
        Effect.forkChild(work(who), { startImmediately: true }))
      assert.lengthOf(begun, 1)
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(
        begun.map(([who]) =>
          who
        ),
        [0, 1, 2, 3, 4]
      )
      assert.lengthOf(new Set(begun.map(([, turn]) => turn)), 5)
    }))

  it.live("is not kept from others by who does not want it any more", () =>
    Effect.gen(function*() {
      yield* OneATurn.turn
      const gone = yield* Effect.forkChild(OneATurn.turn, { startImmediately: true })
      const next = yield* Effect.forkChild(OneATurn.turn, { startImmediately: true })
      yield* Fiber.interrupt(gone)
      yield* Fiber.join(next)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(gone)))
    }))
})
