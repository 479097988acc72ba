import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import type * as BlockingQuery from "../../src/consul/BlockingQuery.ts"
import * as ConsulError from "../../src/consul/ConsulError.ts"
import * as Watched from "../../src/watch/Watched.ts"
import * as scrape from "../support/scrape.ts"

describe("an outage", () => {
  it.effect("is one line when it begins and one when it is over, however many watches it is about", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) =>
        void lines.push(`${logLevel} ${String(message)}`)
      )
      yield* Effect.gen(function*() {
        const queues = yield* Effect.forEach(["a", "b", "c"], (subject) =>
          Effect.gen(function*() {
            const queue = yield* Queue.make<BlockingQuery.Observation<string>>()
            yield* Watched.make(
              { what: `the value of ${subject}`, watch: "intentions", subject },
              Stream.fromQueue(queue)
            )
            return queue
          }))
        const say = (observation: BlockingQuery.Observation<string>) =>
          Effect.forEach(queues, (queue) => Effect.andThen(Queue.offer(queue, observation), TestClock.adjust(0)))
        yield* say({ _tag: "Answer", value: "x", at: 0 })
        const error = ConsulError.fromStatus("GET /v1/x", 500, "No cluster leader")
        yield* say({ _tag: "Failure", error, at: 0 })
        yield* say({ _tag: "Failure", error, at: 0 })
        yield* TestClock.adjust("12 seconds")
        yield* say({ _tag: "Answer", value: "x", at: 0 })
        yield* say({ _tag: "Answer", value: "y", at: 0 })
      }).pipe(Effect.provide(Logger.layer([logger])))
      assert.strictEqual(lines.length, 2, lines.join("\n"))
      assert.match(lines[0]!, /^Warn the value of a: .*No cluster leader.*The last value stays in force/)
      assert.strictEqual(lines[1], "Info the value of c and 2 other watches: current again after 12s")
    }).pipe(scrape.fresh))
})
