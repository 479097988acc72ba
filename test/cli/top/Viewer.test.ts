import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option, Queue, Terminal } from "effect"
import { TestClock } from "effect/testing"
import * as Reading from "../../../src/cli/top/Reading.ts"
import * as Viewer from "../../../src/cli/top/Viewer.ts"
import { type Given, reading } from "./readings.ts"

/** A terminal of so many rows, and what it shows. */
const terminal = (rows: number) =>
  Effect.gen(function*() {
    const size = yield* Queue.make<Terminal.Size>()
    const input = yield* Queue.make<Terminal.UserInput>()
    const written: Array<string> = []
    const service = Terminal.make({
      columns: Effect.succeed(140),
      rows: Effect.succeed(rows),
      size: Effect.succeed(size),
      readInput: Effect.succeed(input),
      readLine: Effect.never,
      display: (text) => Effect.sync(() => written.push(text))
    })
    const press = (name: string) =>
      Queue.offer(input, { input: Option.none(), key: { name, ctrl: false, meta: false, shift: false } })
    /** The last picture, line by line. */
    const shown = () => (written.findLast((text) => text.startsWith("\u001b[H")) ?? "").split("\r\n")
    return { service, size, press, shown, written }
  })

/** Answers one after the other, the last one for ever. */
const source = (...given: ReadonlyArray<Given | "away">) => {
  let at = -1
  const read = Effect.suspend(() => {
    at = Math.min(at + 1, given.length - 1)
    const next = given[at]!
    return next === "away"
      ? Effect.fail(new Reading.NoReading({ address: "here", why: "it is away" }))
      : Effect.succeed(reading({ at: at * 1000, ...next }))
  })
  return { address: "here", read }
}

const watching = (rows: number, ...given: ReadonlyArray<Given | "away">) =>
  Effect.gen(function*() {
    const screen = yield* terminal(rows)
    const viewer = yield* Effect.forkChild(
      Effect.scoped(Viewer.watch(source(...given), Duration.seconds(1), false)).pipe(
        Effect.provideService(Terminal.Terminal, screen.service)
      )
    )
    yield* Queue.offer(screen.size, { columns: 140, rows })
    yield* TestClock.adjust("1 millis")
    return { ...screen, viewer }
  })

const requests = (count: number): Given => ({ requests: { "200": count } })

const callerOf = (lines: ReadonlyArray<string>) => lines.find((line) => line.includes("◀ web")) ?? ""

describe("the live view of top", () => {
  it.effect("draws as it reads, until q, and leaves the terminal as it was", () =>
    Effect.gen(function*() {
      const { press, shown, viewer, written } = yield* watching(30, requests(0), requests(50), requests(100))
      assert.strictEqual(written[0], "\u001b[?1049h\u001b[?25l")
      assert.match(callerOf(shown()), /◀ web +0 +0 /)
      yield* TestClock.adjust("1 second")
      assert.match(callerOf(shown()), /◀ web +0 +50 /)
      yield* press("q")
      yield* Fiber.join(viewer)
      assert.strictEqual(written.at(-1), "\u001b[?25h\u001b[?1049l")
    }))

  it.effect("keeps what it has while nobody answers, says so, and starts over with another process", () =>
    Effect.gen(function*() {
      const { shown } = yield* watching(30, requests(0), requests(50), "away", { ...requests(5000), pid: 8 })
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      assert.match(callerOf(shown()), /◀ web +0 +50 /)
      assert.match(shown()[2]!, /^cannot read the admin interface at here: it is away/)
      yield* TestClock.adjust("1 second")
      assert.match(shown()[0]!, /pid 8/)
      assert.match(callerOf(shown()), /◀ web +0 +0 /)
      assert.notMatch(shown()[2]!, /away/)
    }))

  it.effect("holds still while it is paused", () =>
    Effect.gen(function*() {
      const { press, shown } = yield* watching(30, requests(0), requests(50))
      yield* press("space")
      yield* TestClock.adjust("5 seconds")
      assert.match(shown()[1]!, /PAUSED/)
      assert.match(callerOf(shown()), /◀ web +0 +0 /)
      yield* press("space")
      yield* TestClock.adjust("1 second")
      assert.match(callerOf(shown()), /◀ web +0 +[1-9]/)
    }))

  it.effect("scrolls what does not fit, as far as there is something", () =>
    Effect.gen(function*() {
      const rows = 8
      const { press, shown } = yield* watching(rows, { ...requests(0), stale: 9 })
      const bare = () => shown().map((line) => line.replaceAll(/\u001b\[[HKJ]/g, ""))
      assert.strictEqual(bare().length, rows)
      assert.match(bare().join("\n"), /● api/)
      yield* press("end")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(bare().length, rows)
      assert.match(bare().at(-1)!, /and 4 more$/)
      assert.match(bare()[0]!, /^effect-mesh top/)
      yield* press("down")
      yield* press("up")
      yield* TestClock.adjust("1 millis")
      assert.notMatch(bare().at(-1)!, /and 4 more$/)
      yield* press("home")
      yield* TestClock.adjust("1 millis")
      assert.match(bare().join("\n"), /● api/)
    }))

  it.effect("fails where nobody answers at the start, and leaves the terminal alone", () =>
    Effect.gen(function*() {
      const { viewer, written } = yield* watching(30, "away")
      const error = yield* Effect.flip(Fiber.join(viewer))
      assert.match(error.message, /it is away. Does the sidecar run, with --admin-bind here/)
      assert.deepStrictEqual(written, [])
    }))
})
