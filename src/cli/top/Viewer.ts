/** The live view: reads again and again, draws, and follows keys and the size of the terminal. */
import { Clock, type Duration, Effect, Ref, Result, type Scope, Stream, Terminal } from "effect"
import * as Overview from "./Overview.ts"
import type * as Reading from "./Reading.ts"
import * as Screen from "./Screen.ts"

interface State {
  /** The latest readings, oldest first: rates are over the time between first and last. */
  readonly readings: readonly [Reading.Reading, ...Array<Reading.Reading>]
  /** Why the last reading has failed. */
  readonly stale: string | undefined
  readonly paused: boolean
  /** Lines that are scrolled past. */
  readonly offset: number
}

/** Rates are over so many readings: a second alone jumps about. */
const window = 6

/** Until `q`, Escape or Ctrl-C. Fails where the first reading does. */
export const watch = Effect.fnUntraced(function*(
  source: Reading.Source,
  interval: Duration.Duration,
  color: boolean
): Effect.fn.Return<void, Reading.NoReading, Terminal.Terminal | Scope.Scope> {
  const terminal = yield* Terminal.Terminal
  const state = yield* Ref.make<State>({
    readings: [yield* source.read],
    stale: undefined,
    paused: false,
    offset: 0
  })
  const draw = Effect.gen(function*() {
    const { offset, paused, readings, stale } = yield* Ref.get(state)
    const [columns, rows] = [(yield* terminal.columns) || 80, (yield* terminal.rows) || 24]
    const last = readings.at(-1) ?? readings[0]
    const { body, top } = Screen.render(
      {
        address: source.address,
        configuration: last.configuration,
        now: yield* Clock.currentTimeMillis,
        stale,
        paused
      },
      Overview.make(readings[0], last),
      { color, width: columns }
    )
    const room = Math.max(1, rows - top.length)
    const from = Math.max(0, Math.min(offset, body.length - room))
    yield* Ref.update(state, (now) => ({ ...now, offset: from }))
    const lines = [...top, ...body.slice(from, from + room)]
    // Over what was there, so that nothing flickers.
    yield* Effect.orDie(terminal.display(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join("\r\n")}\u001b[J`))
  })
  const set = (change: (now: State) => Partial<State>) =>
    Effect.andThen(Ref.update(state, (now) => ({ ...now, ...change(now) })), draw)
  const read = Effect.gen(function*() {
    if ((yield* Ref.get(state)).paused) return
    const reading = yield* Effect.result(source.read)
    yield* set(({ readings }) =>
      Result.isFailure(reading)
        ? { stale: reading.failure.message }
        : { readings: following(readings, reading.success), stale: undefined }
    )
  })
  const handle = ({ key }: Terminal.UserInput) => {
    if (key.name === "space") return set(({ paused }) => ({ paused: !paused }))
    const lines = steps[key.name]
    return lines === undefined ? Effect.void : set(({ offset }) => ({ offset: Math.max(0, offset + lines) }))
  }
  yield* fullScreen(terminal)
  yield* Effect.forkScoped(Stream.runForEach(Stream.fromQueue(yield* terminal.size), () => draw))
  yield* Effect.forkScoped(Effect.forever(Effect.delay(read, interval)))
  yield* Stream.fromQueue(yield* terminal.readInput).pipe(
    Stream.takeWhile(({ key }) => key.name !== "q"),
    Stream.runForEach(handle)
  )
})

/** Leaves the terminal as it was. */
const fullScreen = ({ display }: Terminal.Terminal) =>
  Effect.acquireRelease(
    Effect.orDie(display("\u001b[?1049h\u001b[?25l")),
    () => Effect.ignore(display("\u001b[?25h\u001b[?1049l"))
  )

/** Another process counts from the beginning. */
const following = (readings: State["readings"], next: Reading.Reading): State["readings"] => {
  const [first, ...others] = readings
  if (first.configuration.pid !== next.configuration.pid) return [next]
  const [second, ...rest] = others
  return second === undefined || readings.length < window ? [first, ...others, next] : [second, ...rest, next]
}

/** Lines that a key scrolls. */
const steps: Readonly<Record<string, number>> = {
  up: -1,
  k: -1,
  down: 1,
  j: 1,
  pageup: -10,
  pagedown: 10,
  home: Number.NEGATIVE_INFINITY,
  end: Number.MAX_SAFE_INTEGER
}
