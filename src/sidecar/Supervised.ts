/**
 * A listener in a fiber of its own, from wanted to gone.
 *
 *     Starting ─▶ Listening ─▶ Draining ─▶ gone
 *        │            ▲            ▲
 *        └─▶ Failed ──┴── retire ──┘        a failed one binds again on a Schedule
 */
import { Cause, Deferred, Effect, Option, Schedule, Scope, Semaphore } from "effect"
import type * as Listening from "../net/Listening.ts"
import * as Listener from "./Listener.ts"

export type State =
  | { readonly _tag: "Starting" }
  | { readonly _tag: "Listening" }
  /** It could not bind, and is tried again. */
  | { readonly _tag: "Failed"; readonly message: string }
  /** No longer wanted; open connections go on. */
  | { readonly _tag: "Draining" }

/** `A`: what says how it is to be, such as a registration. */
export interface Options<A, R> {
  /** For logs: `upstream api`. */
  readonly name: string
  readonly wanted: A
  readonly start: (wanted: A) => Effect.Effect<Listener.Listener<A>, Listening.ListenError, R>
  /** When to try again to bind. Without one, the first failure is the end. */
  readonly rebind: Schedule.Schedule<unknown> | undefined
}

export interface Supervised<in A> {
  readonly name: string
  readonly state: () => State
  /** With the port that was given; undefined while it does not listen. */
  readonly address: () => string | undefined
  readonly counts: () => Listener.Counts
  readonly details: () => Listener.Details
  /** Tells callers that it is about to leave, and serves them on. */
  readonly announce: Effect.Effect<void>
  readonly update: (wanted: A) => Effect.Effect<void>
  /** Stops accepting before it returns. */
  readonly retire: Effect.Effect<void>
  /** Waits until it is gone. */
  readonly gone: Effect.Effect<void>
  /** How the first attempt to bind went, where there is no other. */
  readonly bound: Effect.Effect<void, Listening.ListenError>
}

/** The listener, and the fiber's work: it ends when the listener is gone, and interrupting it closes the listener. */
export const make = <A, R>(
  plan: Options<A, R>
): { readonly supervised: Supervised<A>; readonly run: Effect.Effect<void, never, Exclude<R, Scope.Scope>> } => {
  const retired = Deferred.makeUnsafe<void>()
  const stopped = Deferred.makeUnsafe<void>()
  const gone = Deferred.makeUnsafe<void>()
  const bound = Deferred.makeUnsafe<void, Listening.ListenError>()
  let wanted = plan.wanted
  let listener: Listener.Listener<A> | undefined
  let state: State = { _tag: "Starting" }

  // One at a time, and each of them the latest: none that is older ends last.
  const turn = Semaphore.makeUnsafe(1)
  const adjust = Semaphore.withPermit(
    turn,
    Effect.suspend(() => listener === undefined ? Effect.void : listener.update(wanted))
  )

  const failed = (cause: Cause.Cause<Listening.ListenError>) => {
    const isFirst = state._tag !== "Failed"
    state = { _tag: "Failed", message: messageOf(cause) }
    return isFirst ? report(plan, cause) : Effect.void
  }
  const started = Effect.sandbox(inOwnScope(Effect.suspend(() => plan.start(wanted)))).pipe(
    Effect.tapError(failed),
    Effect.retry(plan.rebind ?? Schedule.recurs(0)),
    Effect.catch(Effect.failCause)
  )

  const run = Effect.gen(function*() {
    const running = yield* Effect.raceFirst(
      Effect.asSome(started),
      Effect.as(Deferred.await(retired), Option.none())
    )
    if (Option.isNone(running)) return
    listener = running.value
    state = { _tag: "Listening" }
    yield* adjust // to what was wanted while it was binding
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
    // Whatever the end was: somebody may be waiting.
    Effect.onExit((exit) => Deferred.done(bound, exit)),
    Effect.catchCause((cause) =>
      state._tag === "Failed" ? Effect.void : Effect.logError(`${plan.name}: the listener failed`, cause)
    ),
    Effect.ensuring(Effect.andThen(Deferred.succeed(stopped, undefined), Deferred.succeed(gone, undefined)))
  )
  return {
    run,
    supervised: {
      name: plan.name,
      state: () => state,
      address: () => listener?.address,
      counts: () => listener?.counts() ?? Listener.none,
      details: () => listener?.details ?? Listener.noDetails,
      announce: Effect.suspend(() => listener?.announce ?? Effect.void),
      gone: Deferred.await(gone),
      update: (next) =>
        Effect.suspend(() => {
          wanted = next
          return adjust
        }),
      retire: Effect.andThen(Deferred.succeed(retired, undefined), Deferred.await(stopped)),
      bound: Deferred.await(bound)
    }
  }
}

/** A scope for each attempt: what one that failed had begun ends with it, not with the listener. */
const inOwnScope = <A, E, R>(attempt: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    Effect.flatMap(Effect.scope, (scope) => Scope.fork(scope)),
    (own) =>
      attempt.pipe(
        Scope.provide(own),
        Effect.onExit((exit) => exit._tag === "Failure" ? Scope.close(own, exit) : Effect.void)
      )
  )

const messageOf = (cause: Cause.Cause<Listening.ListenError>): string =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => String(Cause.squash(cause)),
    onSome: ({ message }) => message
  })

/** Logs the first failed attempt. The only attempt of all fails with its error, which needs no line; a bug always has one. */
const report = <A, R>(
  { name, rebind }: Options<A, R>,
  cause: Cause.Cause<Listening.ListenError>
): Effect.Effect<void> => {
  const isBug = Option.isNone(Cause.findErrorOption(cause))
  if (rebind === undefined) return isBug ? Effect.logError(name, cause) : Effect.void
  const line = `${name}: ${messageOf(cause)}. Trying again meanwhile`
  return isBug ? Effect.logError(line, cause) : Effect.logError(line)
}
