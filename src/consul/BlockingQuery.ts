/**
 * A Consul blocking query as a stream of what is heard: answers and failures, for ever.
 *
 * Each request tells the agent what is already known (an index or a content hash) and is held by it until there is
 * something else, or until `wait` is over. The rules, from Consul's documentation of the feature and its source:
 * - an index that went backwards means that the agent's state was restored: start over without one;
 * - an index of 0 would spin: ask with 1;
 * - an unchanged index is the normal answer when the wait is over;
 * - after a failure nothing is known any more: start over, after a jittered, exponential, capped delay;
 * - the agent adds up to a sixteenth of the wait to spread load, so the client gives up only well after that;
 * - an agent that answers all the time is asked at a bounded rate, whatever it says.
 *
 * @see https://developer.hashicorp.com/consul/api-docs/features/blocking
 */
import { Clock, Context, Duration, Effect, Pull, Random, Schedule, Stream } from "effect"
import * as ConsulError from "./ConsulError.ts"
import * as SameAnswer from "./SameAnswer.ts"

/** One thing heard from a source. `at` is in milliseconds since the epoch. */
export type Observation<A> =
  | { readonly _tag: "Answer"; readonly value: A; readonly at: number }
  | { readonly _tag: "Failure"; readonly error: ConsulError.ConsulError; readonly at: number }

/** A value, and the cursor that tells the agent it is known. Only the agent understands the cursor. */
export interface Answer<out A, out C> {
  readonly value: A
  /** Undefined: the answer carried none, which a blocking endpoint never does. */
  readonly cursor: C | undefined
}

/** One request. `cursor` is absent when nothing is known: such a request is answered at once. */
export type Query<A, C> = (known: {
  readonly cursor: C | undefined
  /** As the API takes it: `300000ms`. */
  readonly wait: string
  /** Handed on with the request, it spares decoding an answer that is repeated. */
  readonly memory: SameAnswer.Memory
}) => Effect.Effect<Answer<A, C>, ConsulError.ConsulError>

export interface Policy {
  /** How long the agent may hold a request. At most 10 minutes, which it caps silently. */
  readonly wait: Duration.Input
  /** How long the answer may be late beyond the wait and the agent's own jitter. */
  readonly grace: Duration.Input
  /** Between attempts after failures; starts over with the next answer. */
  readonly backoff: Schedule.Schedule<unknown, ConsulError.ConsulError>
  /** This many answers may follow each other at once, … */
  readonly burst: number
  /** … then one in this time. */
  readonly interval: Duration.Input
}

/** In force wherever nothing else is provided. */
export const Policy = Context.Reference<Policy>("effect-mesh/consul/BlockingQuery/Policy", {
  defaultValue: () => ({
    wait: "5 minutes",
    grace: "10 seconds",
    backoff: Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("1 minute")]).pipe(Schedule.jittered),
    burst: 10,
    interval: "1 second"
  })
})

/** For endpoints that answer `X-Consul-Index`. */
export const byIndex = <A>(what: string, query: Query<A, bigint>): Stream.Stream<Observation<A>> =>
  make(what, query, nextIndex)

/** For endpoints that answer `X-Consul-ContentHash`. */
export const byHash = <A>(what: string, query: Query<A, string>): Stream.Stream<Observation<A>> =>
  make(what, query, (_, received) => received === "" ? undefined : received)

/**
 * For endpoints that never wait. Asks again after `every`, up to a tenth earlier, so that those who started together
 * part. `ask` has to give up by itself, within the grace.
 */
export const polled = <A>(
  what: string,
  every: Duration.Input,
  ask: (memory: SameAnswer.Memory) => Effect.Effect<A, ConsulError.ConsulError>
): Stream.Stream<Observation<A>> =>
  Stream.unwrap(Effect.map(Policy, (policy) => {
    const most = Duration.fromInputUnsafe(every)
    const pause = Effect.flatMap(Random.next, (share) => Effect.sleep(Duration.times(most, 1 - share / 10)))
    return make(
      what,
      ({ cursor, memory }) =>
        Effect.andThen(
          cursor === undefined ? Effect.void : pause,
          Effect.map(ask(memory), (value) => ({ value, cursor: true as const }))
        ),
      () => true as const
    ).pipe(Stream.provideService(Policy, {
      ...policy,
      wait: most,
      interval: Duration.min(most, Duration.fromInputUnsafe(policy.interval))
    }))
  }))

/** The index to ask with next. Undefined: ask without one. */
export const nextIndex = (asked: bigint | undefined, received: bigint): bigint | undefined =>
  asked !== undefined && received < asked ? undefined : received < 1n ? 1n : received

interface State<C> {
  readonly cursor: C | undefined
  /** Yields the delay after one more failure. Undefined: the last request was answered. */
  readonly backoff:
    | ((now: number, error: ConsulError.ConsulError) => Pull.Pull<[unknown, Duration.Duration], never, unknown>)
    | undefined
  readonly delay: Duration.Duration
}

const make = <A, C>(
  what: string,
  query: Query<A, C>,
  next: (asked: C | undefined, received: C) => C | undefined
): Stream.Stream<Observation<A>> =>
  Stream.unwrap(Effect.gen(function*() {
    const policy = yield* Policy
    const wait = Duration.fromInputUnsafe(policy.wait)
    const patience = Duration.sum(Duration.times(wait, 17 / 16), Duration.fromInputUnsafe(policy.grace))
    const take = makeBucket(policy.burst, Duration.toMillis(policy.interval))
    const waitText = `${Math.max(1, Math.round(Duration.toMillis(wait)))}ms`

    const memory = SameAnswer.memory()
    let last: { readonly value: A; readonly cursor: C } | undefined
    const ask = (cursor: C | undefined) =>
      query({ cursor, wait: waitText, memory }).pipe(
        Effect.timeoutOrElse({
          duration: patience,
          orElse: () => Effect.fail(ConsulError.timedOut(what, patience))
        }),
        Effect.filterOrFail(
          (answer): answer is { value: A; cursor: C } => answer.cursor !== undefined,
          () => ConsulError.undecodable(what, "the answer carries no index, so it cannot be followed")
        )
      )

    const start: State<C> = { cursor: undefined, backoff: undefined, delay: Duration.zero }
    return Stream.unfold(start, (state) =>
      Effect.gen(function*() {
        yield* Effect.sleep(state.delay)
        yield* Effect.sleep(take(yield* Clock.currentTimeMillis))
        memory.heard = undefined
        const before = last
        const result = yield* Effect.result(
          before === undefined
            ? ask(state.cursor)
            : Effect.catchIf(ask(state.cursor), () => SameAnswer.isRepeated(memory), () => Effect.succeed(before))
        )
        const at = yield* Clock.currentTimeMillis
        if (result._tag === "Success") {
          last = result.success
          memory.known = memory.heard
          const { cursor, value } = last
          const answered: State<C> = { ...start, cursor: next(state.cursor, cursor) }
          return [{ _tag: "Answer", value, at } as Observation<A>, answered] as const
        }
        const backoff = state.backoff ?? (yield* Schedule.toStep(policy.backoff))
        last = memory.known = undefined
        const [, delay] = yield* Pull.catchDone(
          backoff(at, result.failure),
          () => Effect.succeed([undefined, Duration.minutes(1)] as const)
        )
        const failed: State<C> = { cursor: undefined, backoff, delay }
        return [{ _tag: "Failure", error: result.failure, at } as Observation<A>, failed] as const
      }))
  }))

/** A token bucket: how many milliseconds to wait before the next request may go out. */
const makeBucket = (burst: number, interval: number) => {
  let tokens = burst
  let filledAt: number | undefined
  return (now: number): number => {
    // A clock that was set back has not taken anything away.
    tokens = Math.min(burst, tokens + Math.max(0, now - (filledAt ?? now)) / interval)
    filledAt = now
    tokens -= 1
    return tokens >= 0 ? 0 : Math.ceil(-tokens * interval)
  }
}
