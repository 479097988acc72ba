/** What a mesh for tests was told to do, and how that fails. */
import { Clock, Effect, Schema, Stream } from "effect"

/** The mesh did not do as it was told within ten seconds, or not at all. */
export class TestMeshError extends Schema.TaggedError<TestMeshError>()("TestMeshError", {
  attempted: Schema.String,
  why: Schema.String
}) {
  override readonly message = `${this.attempted}: ${this.why}`
}

/** Certificates and sockets know no other; the application that is served keeps the clock of the test. */
export const realTime = Clock.Clock.defaultValue()

export const inRealTime = Effect.provideService(Clock.Clock, realTime)

export const failed = (attempted: string) => (error: { readonly message: string }) =>
  new TestMeshError({ attempted, why: error.message })

export const orFail = (attempted: string) => Effect.mapError(failed(attempted))

/** The agent has said so; now it has to get around. */
export const heard = <A>(attempted: string, changes: Stream.Stream<A>, holds: (value: A) => boolean) =>
  changes.pipe(
    Stream.filter(holds),
    Stream.runHead,
    Effect.timeoutOrElse({
      duration: "10 seconds",
      orElse: () => Effect.fail(new TestMeshError({ attempted, why: "not everybody heard of it within 10 seconds" }))
    }),
    Effect.asVoid
  )
