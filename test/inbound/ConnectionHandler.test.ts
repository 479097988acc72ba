/** How connections end, by what their handler did: over sockets that go nowhere. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import * as AdmissionLog from "../../src/inbound/AdmissionLog.ts"
import type { Connection } from "../../src/inbound/Connection.ts"
import * as ConnectionHandler from "../../src/inbound/ConnectionHandler.ts"
import * as Doubles from "../support/doubles.ts"

class NoApplication extends Schema.TaggedError<NoApplication>()("NoApplication", {}) {
  override readonly message = "no application"
}

const start = Effect.fnUntraced(function*(handle: (connection: Connection) => Effect.Effect<unknown, unknown>) {
  const { lines, run, running } = Doubles.runner()
  const log = yield* AdmissionLog.make({ service: () => "api", subject: (remote) => remote, run })
  const { failed, serve } = ConnectionHandler.make(handle, log)
  return { failed, lines, serve: (connection: Connection) => running(serve(connection)) }
})

describe("ConnectionHandler", () => {
  it.effect("resets a connection whose handler fails, counts it, and says why once in a flood", () =>
    Effect.gen(function*() {
      const { failed, lines, serve } = yield* start(() => new NoApplication())
      for (let turn = 1; turn <= 10; turn++) {
        const { connection, resets } = Doubles.connection("web")
        yield* serve(connection)
        assert.deepStrictEqual([resets(), failed()], [1, turn])
      }
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "\"the connection of web failed: no application\" direction=inbound service=api peer=")
    }))

  it.effect("shows a fault of the handler whole", () =>
    Effect.gen(function*() {
      const { lines, serve } = yield* start(() => Effect.die(new TypeError("not a function")))
      yield* serve(Doubles.connection("web").connection)
      assert.include(lines[0], "level=ERROR")
      assert.include(lines[0], "TypeError: not a function")
    }))

  it.effect("resets a connection whose handler is interrupted, which is no failure", () =>
    Effect.gen(function*() {
      const { failed, lines, serve } = yield* start(() => Effect.never)
      const { connection, resets } = Doubles.connection("web")
      const serving = yield* Effect.forkChild(serve(connection), { startImmediately: true })
      yield* Fiber.interrupt(serving)
      assert.deepStrictEqual([resets(), failed(), lines], [1, 0, []])
    }))

  it.effect("leaves a connection alone that is closed by the time its handler ends", () =>
    Effect.gen(function*() {
      const { failed, lines, serve } = yield* start(({ socket }) => Effect.sync(() => void socket.destroy()))
      const { connection, resets } = Doubles.connection("web")
      yield* serve(connection)
      assert.deepStrictEqual([resets(), failed(), lines], [0, 0, []])
    }))
})
