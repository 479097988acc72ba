/** What the process spends its time and memory on, in the formats that Chromium's developer tools open. */
import * as Inspector from "node:inspector/promises"
import * as V8 from "node:v8"
import { Duration, Effect, Schema, Semaphore, Stream } from "effect"
import * as NodeStream from "@effect/platform-node/NodeStream"

/** Another one is being taken. Passes when it is over. */
export class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {
  override readonly message = "another profile is being taken: ask again when it is there"
}

/** V8 has one profiler. */
const turn = Semaphore.makeUnsafe(1)

const alone = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Busy, R> =>
  Effect.flatMap(
    Semaphore.withPermitsIfAvailable(turn, 1)(self),
    (taken) => taken._tag === "Some" ? Effect.succeed(taken.value) : new Busy()
  )

/** Of the next `duration`, in the format `.cpuprofile`. */
export const cpu = (duration: Duration.Input): Effect.Effect<string, Busy> =>
  alone(Effect.scoped(Effect.gen(function*() {
    const session = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const session = new Inspector.Session()
        session.connect()
        return session
      }),
      (session) => Effect.sync(() => session.disconnect())
    )
    yield* Effect.promise(() => session.post("Profiler.enable"))
    yield* Effect.promise(() => session.post("Profiler.start"))
    yield* Effect.sleep(duration)
    const { profile } = yield* Effect.promise(() => session.post("Profiler.stop"))
    return JSON.stringify(profile)
  })))

/**
 * What is held in memory, tokens and keys among it, in the format `.heapsnapshot`. Taken when the stream begins; everything else
 * stops meanwhile.
 */
export const heap: Stream.Stream<Uint8Array> = Stream.orDie(
  NodeStream.fromReadable<Uint8Array, unknown>({ evaluate: () => V8.getHeapSnapshot(), onError: (error) => error })
)
