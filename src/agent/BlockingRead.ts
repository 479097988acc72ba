/**
 * A read that may wait for a change, as every indexed endpoint of Consul offers it.
 *
 * @see https://developer.hashicorp.com/consul/api-docs/features/blocking
 */
import { Duration, Effect, Random } from "effect"
import type * as Store from "./Store.ts"

export interface Request {
  /** 0 and absent: answer at once. */
  readonly index?: bigint | undefined
  /** Absent: five minutes. Capped at ten. */
  readonly wait?: Duration.Duration | undefined
  /** Of the endpoints that answer from the agent's cache: another default, no cap and no jitter. */
  readonly cached?: { readonly defaultWait: Duration.Input } | undefined
}

export interface Answer<A> {
  readonly index: number
  readonly value: A
}

export interface Source<A> {
  readonly topics: ReadonlyArray<Store.Topic>
  readonly read: () => A
  /** Sleep on when a change left the value as it was: the index of these topics is coarser than the question. */
  readonly suppress?: ((before: A, after: A) => boolean) | undefined
}

/** The server's defaults: `DefaultQueryTime`, `MaxQueryTime`. */
export const defaultWait = Duration.minutes(5)
const maximumWait = Duration.minutes(10)

/**
 * Answers when the index of the topics is beyond the one asked for, or with the unchanged value when the wait is over.
 * The index of an answer is never below 1: a client that took 0 for an index would never wait.
 */
export const read = Effect.fnUntraced(function*<A>(store: Store.Store, request: Request, source: Source<A>) {
  const asked = Number(request.index ?? 0n)
  const current = (): Answer<A> => ({ index: Math.max(1, store.indexOf(source.topics)), value: source.read() })
  const first = current()
  if (asked <= 0 || first.index > asked) return first

  const next: Effect.Effect<Answer<A>> = Effect.suspend(() => {
    const now = current()
    if (now.index > asked && source.suppress?.(first.value, now.value) !== true) return Effect.succeed(now)
    return Effect.flatMap(store.changed(source.topics, store.indexOf(source.topics)), () => next)
  })
  return yield* Effect.timeoutOrElse(next, {
    duration: request.cached === undefined
      ? yield* jittered(request.wait ?? defaultWait)
      : request.wait ?? request.cached.defaultWait,
    orElse: () => Effect.sync(current)
  })
})

/** Spreads the clients that started to wait together: up to a sixteenth more. */
export const jittered = (wait: Duration.Duration): Effect.Effect<Duration.Duration> => {
  const capped = Duration.min(Duration.isZero(wait) ? defaultWait : wait, maximumWait)
  return Effect.map(Random.next, (share) => Duration.sum(capped, Duration.times(capped, share / 16)))
}
