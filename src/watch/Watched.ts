/**
 * A value that a source keeps current: the roots, a leaf, the intentions of a service.
 *
 * It has no value until the first answer; from then on it always has one. When its source fails, the last value stays
 * in force (fail static) and `freshness` tells for how long. Equal values are not announced again.
 */
import {
  Clock,
  Context,
  Duration,
  Effect,
  Equal,
  Metric,
  Option,
  Result,
  Schema,
  type Scope,
  Stream,
  SubscriptionRef
} from "effect"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as Meter from "../observe/Meter.ts"
import * as Outages from "./Outages.ts"

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
  lastError: Schema.optionalKey(Schema.String),
  /** Who was asked, where that is known: `the agent at http://127.0.0.1:8500`. */
  asked: Schema.optionalKey(Schema.String)
}) {
  override readonly message = `${this.what} did not arrive within ${this.waited}: ${
    this.lastError ??
      `${this.asked ?? "the control plane"} has not answered yet. Check that it is running and reachable`
  }`
  /** Operators read it: where in this package it was made would say nothing to them. */
  override readonly stack = `NotReady: ${this.message}`
}

/** One thing heard from a source. `at` is in milliseconds since the epoch. */
export type Observation<A> =
  | { readonly _tag: "Answer"; readonly value: A; readonly at: number }
  | {
    readonly _tag: "Failure"
    readonly error: { readonly message: string; readonly reason?: { readonly _tag: string } }
  }

/** What a watched value is of. */
export interface Subject {
  /** For logs and errors: `the CA roots`. */
  readonly what: string
  /** The attribute `watch` of its metrics. Stable: dashboards are built on it. */
  readonly watch:
    | "roots"
    | "leaf"
    | "intentions"
    | "protocol"
    | "chain"
    | "instances"
    | "providers"
    | "mesh"
    | "registration"
    | "files"
    | "resolvers"
    | "query"
    | "services"
    | "gateways"
    | "peers"
    | "exports"
    | "stream"
    | "xds"
  /** The attribute `subject`: the service, the target, the id of the registration, the query; `*` where there is but one. */
  readonly subject: string
}

/** One of the values that are watched in a process, for operators. */
export interface Followed extends Subject {
  readonly freshness: () => Freshness
  /** In milliseconds since the epoch. */
  readonly startedAt: number
}

const everything = new WeakMap<object, Set<Followed>>()

const followedIn = (context: Context.Context<never>): Set<Followed> => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const known = everything.get(registry) ?? new Set<Followed>()
  everything.set(registry, known)
  return known
}

/** All values that are watched now and whose metrics go to the same place. */
export const followed = (context: Context.Context<never>): ReadonlyArray<Followed> => [...followedIn(context)]

/** Follows `source` in the scope. The source reports failures as observations and never ends by itself. */
export const make = <A>(
  { subject, watch, what }: Subject,
  source: Stream.Stream<Observation<A>>,
  /** Says in a line of the log what is new, where a value takes the place of another. Undefined: nothing that is worth it. */
  describe: (value: A, before: A) => string | undefined = () => undefined
): Effect.Effect<Watched<A>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const context = yield* Effect.context<never>()
    const now = () => Context.get(context, Clock.Clock).currentTimeMillisUnsafe()
    const failures = Meter.count(MetricCatalogue.watchFailures, { watch, subject }, context)
    const startedAt = now()
    const outages = Outages.of(context)
    const self = {}
    const ref = yield* SubscriptionRef.make(Option.none<A>())
    let freshness: Freshness = { answeredAt: undefined, failures: 0, lastError: undefined }
    const observe = (seen: Observation<A>) => {
      if (seen._tag === "Failure") {
        const { message, reason } = seen.error
        // The client says once, for all watches, that the agent is away.
        const news = reason?._tag !== "Unreachable" &&
          outages.failed(self, reason === undefined ? message : JSON.stringify(reason), now())
        freshness = { ...freshness, failures: freshness.failures + 1, lastError: message }
        failures.value++
        const line = news
          ? Effect.logWarning(
            `${what}: ${message}${
              Option.isSome(SubscriptionRef.getUnsafe(ref)) ? ". The last value stays in force" : ""
            }`
          )
          : Effect.logDebug(`${what}: ${message}`)
        return Effect.annotateLogs(line, { watch, subject })
      }
      freshness = { answeredAt: seen.at, failures: 0, lastError: undefined }
      const before = SubscriptionRef.getUnsafe(ref)
      const set = Option.isSome(before) && Equal.equals(before.value, seen.value)
        ? Effect.void
        : SubscriptionRef.set(ref, Option.some(seen.value))
      const news = Option.isSome(before) ? describe(seen.value, before.value) : undefined
      const lines = [outages.recovered(self, what, now()), news].filter((line) => line !== undefined)
      return lines.length === 0
        ? set
        : Effect.andThen(
          Effect.annotateLogs(Effect.forEach(lines, (line) => Effect.logInfo(line), { discard: true }), {
            watch,
            subject
          }),
          set
        )
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => outages.gone(self)))
    const listed = { what, watch, subject, startedAt, freshness: () => freshness }
    yield* Effect.acquireRelease(
      Effect.sync(() => followedIn(context).add(listed)),
      (all) => Effect.sync(() => all.delete(listed))
    )
    yield* Meter.follow(MetricCatalogue.watchAnswered, { watch, subject }, () => (freshness.answeredAt ?? 0) / 1000)
    yield* Meter.follow(MetricCatalogue.watchStaleness, { watch, subject }, () => {
      const { answeredAt, failures } = freshness
      return answeredAt !== undefined && failures === 0 ? 0 : Math.max(0, now() - (answeredAt ?? startedAt)) / 1000
    })
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

/** Derives a value: `f` runs once for each new value of `self`. A result equal to the one before is not announced. */
export const map = <A, B>(self: Watched<A>, what: string, f: (value: A) => B): Watched<B> => {
  const once = memoize(f, Object.is)
  return {
    what,
    get: Effect.map(self.get, once),
    latest: () => {
      const value = self.latest()
      return value === undefined ? undefined : once(value)
    },
    changes: Stream.changes(Stream.map(self.changes, once)),
    freshness: self.freshness
  }
}

/** The same for what may not be there yet: it waits for that, and keeps the last one where it is gone again. */
export const mapSome = <A, B>(self: Watched<A>, what: string, f: (value: A) => B | undefined): Watched<B> => {
  let last: B | undefined
  const once = memoize((value: A) => f(value) ?? last, Object.is)
  const changes = Stream.changes(
    Stream.filterMap(
      Stream.map(self.changes, once),
      (value) => value === undefined ? Result.fail(undefined) : Result.succeed(value)
    )
  )
  return {
    what,
    get: Stream.runHead(changes).pipe(Effect.flatMap(Effect.fromOption), Effect.orDie),
    latest: () => {
      const value = self.latest()
      return value === undefined ? last : last = once(value)
    },
    changes: Stream.tap(changes, (value) => Effect.sync(() => last = value)),
    freshness: self.freshness
  }
}

/** Both values together, once both have arrived; the freshness is that of the staler one. */
export const zip = <A, B>(self: Watched<A>, that: Watched<B>, what: string): Watched<readonly [A, B]> => {
  // The same pair as long as both values are the same, so that what is derived from it is not derived again.
  const pair = memoize((both: readonly [A, B]) => both, (a, b) => Object.is(a[0], b[0]) && Object.is(a[1], b[1]))
  return {
    what,
    get: Effect.map(Effect.all([self.get, that.get]), pair),
    latest: () => {
      const a = self.latest()
      const b = that.latest()
      return a === undefined || b === undefined ? undefined : pair([a, b])
    },
    changes: Stream.changes(Stream.map(Stream.zipLatest(self.changes, that.changes), pair)),
    freshness: () => self.freshness().failures >= that.freshness().failures ? self.freshness() : that.freshness()
  }
}

/**
 * What `f` watches for the value in force, as long as it is in force. Between the two, the last value of the one before
 * stays. The freshness is that of what is watched now.
 */
export const switchMap = <A, B>(
  self: Watched<A>,
  what: string,
  f: (value: A) => Effect.Effect<Watched<B>, never, Scope.Scope>
): Effect.Effect<Watched<B>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const ref = yield* SubscriptionRef.make(Option.none<B>())
    let freshness = self.freshness
    const changes = Stream.switchMap(self.changes, (value) =>
      Stream.unwrap(Effect.map(f(value), (inner) => {
        freshness = inner.freshness
        return inner.changes
      })))
    yield* Effect.forkScoped(
      Stream.runForEach(Stream.changes(changes), (value) => SubscriptionRef.set(ref, Option.some(value))),
      { startImmediately: true }
    )
    return fromOptions(what, ref, () => freshness())
  })

/**
 * The same for many followers: what is derived of several values costs each follower of its changes a follower of all of those. Here
 * one does it for them, in the scope.
 */
export const shared = <A>(self: Watched<A>): Effect.Effect<Watched<A>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const ref = yield* SubscriptionRef.make(Option.none<A>())
    yield* Effect.forkScoped(
      Stream.runForEach(self.changes, (value) => SubscriptionRef.set(ref, Option.some(value))),
      { startImmediately: true }
    )
    return { ...self, changes: fromOptions(self.what, ref, self.freshness).changes }
  })

/** Keeps the last result, for a function of a value that is asked for much more often than it changes. */
const memoize = <A, B>(f: (value: A) => B, same: (a: A, b: A) => boolean) => {
  let last: { readonly from: A; readonly to: B } | undefined
  return (value: A): B => {
    if (last === undefined || !same(last.from, value)) last = { from: value, to: f(value) }
    return last.to
  }
}

/** Waits for the first value, then reads the latest synchronously for ever. */
export const ready = <A>(self: Watched<A>): Effect.Effect<() => A> =>
  Effect.map(self.get, (first) => () => self.latest() ?? first)

/** Like `ready`, but gives up, saying what is missing and why. `asked` is for the error. */
export const readyWithin = <A>(
  self: Watched<A>,
  within: Duration.Input,
  asked?: string
): Effect.Effect<() => A, NotReady> =>
  ready(self).pipe(
    Effect.timeoutOrElse({
      duration: within,
      orElse: () => {
        const { lastError } = self.freshness()
        return Effect.fail(
          new NotReady({
            what: self.what,
            waited: Duration.format(Duration.fromInputUnsafe(within)),
            ...(lastError === undefined ? {} : { lastError }),
            ...(asked === undefined ? {} : { asked })
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
