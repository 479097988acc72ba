/**
 * A value that somebody else keeps current: the roots, a leaf, the intentions of a service.
 *
 * It has no value until the first answer; from then on it always has one. When its source fails, the last value stays
 * in force (fail static) and `freshness` tells for how long. Equal values are not announced again.
 */
import { Duration, Effect, Equal, Option, Result, Schema, type Scope, Stream, SubscriptionRef } from "effect"
import type * as BlockingQuery from "../consul/BlockingQuery.ts"

export interface Watched<out A> {
  /** What it is, for logs and errors: `the CA roots`. */
  readonly what: string
  /** The value in force. Waits for the first one, however long that takes. */
  readonly get: Effect.Effect<A>
  /** The value in force, or undefined before the first. Synchronous, for socket callbacks. */
  readonly latest: () => A | undefined
  /** The value in force, then each later one that differs. Never ends. */
  readonly changes: Stream.Stream<A>
  readonly freshness: () => Freshness
}

/** How far the value can be trusted to be today's. Times are milliseconds since the epoch. */
export interface Freshness {
  /** The last good answer, whether it changed the value or not. Undefined before the first. */
  readonly answeredAt: number | undefined
  /** Failures since then. 0: current. */
  readonly failures: number
  /** Why the last attempt failed, while `failures` is above 0. */
  readonly lastError: string | undefined
}

/** No value has arrived in time. It may still arrive: waiting again is allowed. */
export class NotReady extends Schema.TaggedError<NotReady>()("NotReady", {
  what: Schema.String,
  waited: Schema.String,
  lastError: Schema.optionalKey(Schema.String)
}) {
  override readonly message = `${this.what} did not arrive within ${this.waited}: ${
    this.lastError ?? "the control plane has not answered yet. Check that it is running and reachable"
  }`
}

/** Follows `source` in the scope. The source reports failures as observations and never ends by itself. */
export const make = <A>(
  what: string,
  source: Stream.Stream<BlockingQuery.Observation<A>>
): Effect.Effect<Watched<A>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const ref = yield* SubscriptionRef.make(Option.none<A>())
    let freshness: Freshness = { answeredAt: undefined, failures: 0, lastError: undefined }
    const observe = (seen: BlockingQuery.Observation<A>) => {
      if (seen._tag === "Failure") {
        freshness = { ...freshness, failures: freshness.failures + 1, lastError: seen.error.message }
        return Effect.logWarning(
          `${what}: ${seen.error.message}${
            Option.isSome(SubscriptionRef.getUnsafe(ref)) ? "; the last value stays in force" : ""
          }`
        )
      }
      freshness = { answeredAt: seen.at, failures: 0, lastError: undefined }
      const before = SubscriptionRef.getUnsafe(ref)
      return Option.isSome(before) && Equal.equals(before.value, seen.value)
        ? Effect.void
        : SubscriptionRef.set(ref, Option.some(seen.value))
    }
    yield* Effect.forkScoped(Stream.runForEach(source, observe), { startImmediately: true })
    return fromOptions(what, ref, () => freshness)
  })

/** What a test or a program without a control plane provides: every `SubscriptionRef.set` is an update. */
export const fromRef = <A>(what: string, ref: SubscriptionRef.SubscriptionRef<A>): Watched<A> => ({
  what,
  get: SubscriptionRef.get(ref),
  latest: () => SubscriptionRef.getUnsafe(ref),
  changes: SubscriptionRef.changes(ref),
  freshness: () => ({ answeredAt: Date.now(), failures: 0, lastError: undefined })
})

/** A value that never changes. */
export const constant = <A>(what: string, value: A): Watched<A> => ({
  what,
  get: Effect.succeed(value),
  latest: () => value,
  changes: Stream.concat(Stream.succeed(value), Stream.never),
  freshness: () => ({ answeredAt: Date.now(), failures: 0, lastError: undefined })
})

/** Derives a value; `f` runs once for each new value of `self`, and synchronously when `latest` is asked first. */
export const map = <A, B>(self: Watched<A>, what: string, f: (value: A) => B): Watched<B> => {
  let from: A | undefined
  let to: B | undefined
  const once = (value: A): B => {
    if (to === undefined || from !== value) {
      from = value
      to = f(value)
    }
    return to
  }
  return {
    what,
    get: Effect.map(self.get, once),
    latest: () => {
      const value = self.latest()
      return value === undefined ? undefined : once(value)
    },
    changes: Stream.map(self.changes, once),
    freshness: self.freshness
  }
}

/** Both values together, once both have arrived; the freshness is that of the staler one. */
export const zip = <A, B>(self: Watched<A>, that: Watched<B>, what: string): Watched<readonly [A, B]> => ({
  what,
  get: Effect.all([self.get, that.get]),
  latest: () => {
    const a = self.latest()
    const b = that.latest()
    return a === undefined || b === undefined ? undefined : [a, b]
  },
  changes: Stream.zipLatest(self.changes, that.changes),
  freshness: () => self.freshness().failures >= that.freshness().failures ? self.freshness() : that.freshness()
})

/** Waits for the first value, then reads the latest synchronously for ever. */
export const ready = <A>(self: Watched<A>): Effect.Effect<() => A> =>
  Effect.map(self.get, (first) => () => self.latest() ?? first)

/** Like `ready`, but gives up, saying what is missing and why. */
export const readyWithin = <A>(self: Watched<A>, within: Duration.Input): Effect.Effect<() => A, NotReady> =>
  ready(self).pipe(
    Effect.timeoutOrElse({
      duration: within,
      orElse: () => {
        const { lastError } = self.freshness()
        return Effect.fail(
          new NotReady({
            what: self.what,
            waited: Duration.format(Duration.fromInputUnsafe(within)),
            ...(lastError === undefined ? {} : { lastError })
          })
        )
      }
    })
  )

const fromOptions = <A>(
  what: string,
  ref: SubscriptionRef.SubscriptionRef<Option.Option<A>>,
  freshness: () => Freshness
): Watched<A> => {
  const changes = SubscriptionRef.changes(ref).pipe(
    Stream.filterMap((value) => Result.fromOption(value, () => undefined))
  )
  return {
    what,
    get: Stream.runHead(changes).pipe(Effect.flatMap(Effect.fromOption), Effect.orDie),
    latest: () => Option.getOrUndefined(SubscriptionRef.getUnsafe(ref)),
    changes,
    freshness
  }
}
