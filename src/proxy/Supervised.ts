/**
 * A listener in a fiber of its own, from wanted to gone.
 *
 *     Starting ─▶ Listening ─▶ Draining ─▶ gone
 *        │            ▲            ▲
 *        └─▶ Failed ──┴── retire ──┘        a failed one binds again on a Schedule
 */
import { Deferred, Effect, Option, type Schedule, type Scope } from "effect"
import type * as Listening from "../native/Listening.ts"
import type * as ProxyRegistration from "../watch/ProxyRegistration.ts"
import * as Listener from "./Listener.ts"

export type State =
  | { readonly _tag: "Starting" }
  | { readonly _tag: "Listening" }
  /** It could not bind, and is tried again. */
  | { readonly _tag: "Failed"; readonly message: string }
  /** No longer wanted; open connections go on. */
  | { readonly _tag: "Draining" }

export interface Options<R> {
  /** For logs: `upstream api`. */
  readonly name: string
  readonly registration: ProxyRegistration.Registration
  readonly start: (
    registration: ProxyRegistration.Registration
  ) => Effect.Effect<Listener.Listener, Listening.ListenError, R>
  /** When to try again to bind. Without one, the first failure is the end. */
  readonly rebind: Schedule.Schedule<unknown> | undefined
}

export interface Supervised {
  readonly state: () => State
  /** With the port that was given; undefined while it does not listen. */
  readonly address: () => string | undefined
  readonly counts: () => Listener.Counts
  readonly update: (registration: ProxyRegistration.Registration) => Effect.Effect<void>
  /** Stops accepting before it returns. */
  readonly retire: Effect.Effect<void>
  /** How the first attempt to bind went, where there is no other. */
  readonly bound: Effect.Effect<void, Listening.ListenError>
}

/** The listener, and the fiber's work: it ends when the listener is gone, and interrupting it closes the listener. */
export const make = <R>(
  plan: Options<R>
): { readonly supervised: Supervised; readonly run: Effect.Effect<void, never, Exclude<R, Scope.Scope>> } => {
  const retired = Deferred.makeUnsafe<void>()
  const stopped = Deferred.makeUnsafe<void>()
  const bound = Deferred.makeUnsafe<void, Listening.ListenError>()
  let registration = plan.registration
  let listener: Listener.Listener | undefined
  let state: State = { _tag: "Starting" }

  const attempt = Effect.suspend(() => plan.start(registration))
  const failed = (error: Listening.ListenError) => {
    const again = state._tag === "Failed"
    state = { _tag: "Failed", message: error.message }
    // Where there is no other attempt, the error itself reaches whoever wanted the listener.
    return again || plan.rebind === undefined
      ? Effect.void
      : Effect.logError(`${plan.name}: ${error.message}. Trying again meanwhile`)
  }
  const started = plan.rebind === undefined
    ? Effect.tapError(attempt, failed)
    : Effect.retry(Effect.tapError(attempt, failed), plan.rebind)

  const run = Effect.gen(function*() {
    const running = yield* Effect.raceFirst(
      Effect.asSome(started),
      Effect.as(Deferred.await(retired), Option.none())
    )
    if (Option.isNone(running)) return
    listener = running.value
    state = { _tag: "Listening" }
    yield* Effect.logInfo(`${plan.name}: listening on ${listener.address}`)
    yield* Deferred.succeed(bound, undefined)
    yield* Deferred.await(retired)
    yield* listener.stop
    state = { _tag: "Draining" }
    yield* Effect.logInfo(`${plan.name}: no longer listening on ${listener.address}`)
    yield* Deferred.succeed(stopped, undefined)
    yield* listener.idle
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => Effect.asVoid(Deferred.fail(bound, error))),
    Effect.ensuring(Deferred.succeed(stopped, undefined))
  )
  return {
    run,
    supervised: {
      state: () => state,
      address: () => listener?.address,
      counts: () => listener?.counts() ?? Listener.none,
      update: (next) =>
        Effect.suspend(() => {
          registration = next
          return listener === undefined ? Effect.void : listener.update(next)
        }),
      retire: Effect.andThen(Deferred.succeed(retired, undefined), Deferred.await(stopped)),
      bound: Deferred.await(bound)
    }
  }
}
