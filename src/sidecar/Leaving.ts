/**
 * How a sidecar leaves without losing a call, once.
 *
 *     serving ─▶ leaving: callers are told, and served on ─▶ draining: nothing new, what is open goes on ─▶ gone
 *                         for `shutdownDelay`                            for `drain`, the rest is cut
 *
 * The application may call others as long as somebody calls it: its own ports close last.
 */
import { Deferred, Duration, Effect, type Scope } from "effect"

export type Phase = "serving" | "leaving" | "draining" | "gone"

export interface Options {
  /** How long it goes on accepting once it leaves, so that callers hear of it. Default: 0. */
  readonly shutdownDelay?: Duration.Input | undefined
  /** Has callers told that it leaves, besides what their protocol says. */
  readonly announce?: Effect.Effect<void> | undefined
  /** How long open connections may then go on. Default: 10 seconds. */
  readonly drain?: Duration.Input | undefined
}

export interface Steps {
  /** For the log: whose sidecar it is. */
  readonly name: string
  /** Has callers go elsewhere, while they are served. */
  readonly announce: Effect.Effect<void>
  /** Closes the ports of this side, and waits until no connection to them is open. */
  readonly close: (direction: "inbound" | "outbound") => Effect.Effect<void>
  /** Connections that are open now. */
  readonly open: () => number
}

export interface Leaving {
  readonly phase: () => Phase
  /** Leaves, and returns when it has left. Again: waits for the same. */
  readonly leave: Effect.Effect<void>
  /** Waits until it has left by a `leave`. */
  readonly left: Effect.Effect<void>
}

/** The scope ends by leaving. What is open after that has to be cut by those who hold it. */
export const make = Effect.fnUntraced(function*(
  steps: Steps,
  options: Options
): Effect.fn.Return<Leaving, never, Scope.Scope> {
  const delay = Duration.fromInputUnsafe(options.shutdownDelay ?? 0)
  const drain = Duration.fromInputUnsafe(options.drain ?? "10 seconds")
  const left = yield* Deferred.make<void>()
  let phase: Phase = "serving"

  const all = Effect.gen(function*() {
    if (Duration.isPositive(delay)) {
      yield* Effect.logInfo(`${steps.name} leaves: callers are told, and served for ${Duration.format(delay)} more`)
      yield* steps.announce
      yield* Effect.sleep(delay)
    }
    phase = "draining"
    const closed = yield* Effect.andThen(steps.close("inbound"), steps.close("outbound")).pipe(
      Effect.interruptible,
      Effect.timeoutOption(drain)
    )
    if (closed._tag === "Some") return
    const open = steps.open()
    const connections = `${open} connection${open === 1 ? "" : "s"}`
    yield* Effect.logWarning(
      `${steps.name} leaves: ${connections} did not end within ${Duration.format(drain)}, and ${
        open === 1 ? "is" : "are"
      } cut. Give them longer, or have clients connect again more often`
    )
  }).pipe(Effect.ensuring(Effect.suspend(() => {
    phase = "gone"
    return Deferred.succeed(left, undefined)
  })))

  const leave = Effect.suspend(() => {
    if (phase !== "serving") return Deferred.await(left)
    phase = "leaving"
    // Whoever asked for it may go, and it goes on.
    return Effect.andThen(Effect.forkDetach(all, { startImmediately: true }), Deferred.await(left))
  })
  yield* Effect.addFinalizer(() => leave)
  return { phase: () => phase, leave, left: Deferred.await(left) }
})
