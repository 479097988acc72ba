/** How connections end, by what their handler did: over sockets that go nowhere. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema, Scope } from "effect"
import * as AdmissionLog from "../../src/inbound/AdmissionLog.ts"
import type { Connection } from "../../src/inbound/Connection.ts"
import * as ConnectionHandler from "../../src/inbound/ConnectionHandler.ts"
import * as Fibers from "../../src/net/Fibers.ts"
import * as Doubles from "../support/doubles.ts"

class NoApplication extends Schema.TaggedError<NoApplication>()("NoApplication", {}) {
  override readonly message = "no application"
}

const start = Effect.fnUntraced(function*(handle: (connection: Connection) => Effect.Effect<unknown, unknown>) {
  const { lines, run, running } = Doubles.runner()
  const log = yield* AdmissionLog.make({ service: () => "api", subject: (remote) => remote, run })
  const scope = yield* Scope.make()
  const fibers = yield* Scope.provide(Fibers.make(), scope)
  const { begin, failed, serve } = ConnectionHandler.make(handle, log, { ...fibers, run })
  const close = Scope.close(scope, Exit.void)
  return { begin, close, failed, lines, serve: (connection: Connection) => running(serve(connection)) }
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

  it.effect("treats a handler without a fiber in the same way", () =>
    Effect.gen(function*() {
      const { begin, failed, lines } = yield* start(() => Effect.never)
      const [refused, served] = [Doubles.connection("web"), Doubles.connection("web")]
      begin(refused.connection, (_, over) => {
        over(new NoApplication())
        return () => assert.fail("it is over")
      })
      assert.deepStrictEqual([refused.resets(), failed()], [1, 1])
      assert.include(lines[0], "\"the connection of web failed: no application\" direction=inbound service=api peer=")
      begin(served.connection, ({ socket }, over) => {
        socket.destroy()
        over()
        return () => assert.fail("it is over")
      })
      assert.deepStrictEqual([served.resets(), failed(), lines.length], [0, 1, 1])
    }))

  it.effect("cuts a handler without a fiber when its scope closes, and begins none after that", () =>
    Effect.gen(function*() {
      const { begin, close, failed, lines } = yield* start(() => Effect.never)
      const [open, late] = [Doubles.connection("web"), Doubles.connection("web")]
      let cuts = 0
      begin(open.connection, () => () => void cuts++)
      yield* close
      begin(late.connection, () => assert.fail("the scope has closed"))
      assert.deepStrictEqual([cuts, open.resets(), late.resets(), failed(), lines], [1, 1, 1, 0, []])
    }))
})
