/**
 * The keys of a token provider, from its entry, a file or its URL. They are read ahead and again when they get old, so that
 * requests do not wait; the last ones are used for as long as new ones can not be had.
 */
import { Clock, Deferred, Effect, Schedule, Schema, type Scope } from "effect"
import * as Jose from "jose"
import { readFile } from "node:fs/promises"
import type * as JwtProvider from "../../../watch/JwtProvider.ts"
import * as JwksFetch from "./JwksFetch.ts"

/** The keys of a provider can not be had. Its tokens count as absent until they can. */
export class KeysUnavailable extends Schema.TaggedError<KeysUnavailable>()("KeysUnavailable", {
  provider: Schema.String,
  why: Schema.String
}) {
  override readonly message = `the keys of the token provider ${this.provider} can not be had: ${this.why}`
}

export interface Jwks {
  /** Waits for the first reading. Afterwards it answers at once, or fails at once. */
  readonly current: Effect.Effect<Jose.LocalJWKSet, KeysUnavailable>
  /** After a token named a key that is not there: reads again, unless that was done too often. */
  readonly refreshed: Effect.Effect<Jose.LocalJWKSet, KeysUnavailable>
}

const KeySet = Schema.Struct({ keys: Schema.Array(Schema.Record(Schema.String, Schema.Unknown)) })

/** So many keys that nobody knows make us read again at once, … */
const burst = 3
/** … then one in this time, so that callers can not make us ask all the time. */
const cooldownMilliseconds = 30_000

/** A file may be replaced at any time; a link to it as well. */
const fileMilliseconds = 60_000

/** Between readings that fail. */
const backoff = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("30 seconds")]).pipe(Schedule.jittered)

/** Starts reading; ends with the scope. */
export const make = (
  provider: JwtProvider.JwtProvider,
  fetch: JwksFetch.Fetch = JwksFetch.fetch
): Effect.Effect<Jwks, never, Scope.Scope> => {
  const { keys } = provider
  switch (keys._tag) {
    case "Inline":
      return Effect.map(
        Effect.cached(
          Effect.mapError(parse(keys.jwks), (why) => new KeysUnavailable({ provider: provider.name, why }))
        ),
        (current) => ({ current, refreshed: current })
      )
    case "File":
      return follow(
        provider.name,
        Effect.tryPromise({
          try: () => readFile(keys.path, "utf8"),
          catch: (cause) => cause instanceof Error ? cause.message : String(cause)
        }),
        fileMilliseconds
      )
    case "Remote":
      return follow(
        provider.name,
        fetch(keys).pipe(
          Effect.retry(Schedule.exponential(keys.retryMilliseconds).pipe(Schedule.upTo({ times: keys.retries }))),
          Effect.mapError(({ message }) => message)
        ),
        keys.cacheMilliseconds
      )
  }
}

const parse = (text: string): Effect.Effect<Jose.LocalJWKSet, string> =>
  Schema.decodeEffect(Schema.fromJsonString(KeySet))(text).pipe(
    Effect.mapError(() => "they are no JSON with a list of keys"),
    Effect.flatMap(({ keys }) =>
      Effect.try({
        try: () => Jose.createLocalJWKSet({ keys: keys.map((key) => ({ ...key })) } as Jose.JSONWebKeySet),
        catch: (cause) => cause instanceof Error ? cause.message : String(cause)
      })
    )
  )

const follow = Effect.fnUntraced(function*(
  provider: string,
  read: Effect.Effect<string, string>,
  freshMilliseconds: number
): Effect.fn.Return<Jwks, never, Scope.Scope> {
  let held: { readonly text: string; readonly keys: Jose.LocalJWKSet } | undefined
  let failure: KeysUnavailable | undefined
  let allowance: Allowance = { left: burst, at: yield* Clock.currentTimeMillis }

  const attempt = Effect.gen(function*() {
    const text = yield* read
    // The same keys are the same object, so that a token is not tried again with them.
    if (text !== held?.text) held = { text, keys: yield* parse(text) }
    if (failure !== undefined) yield* Effect.logInfo(`the keys of the token provider ${provider} can be had again`)
    failure = undefined
  }).pipe(Effect.catch((why) => {
    const news = failure?.why !== why
    failure = new KeysUnavailable({ provider, why })
    return news
      ? Effect.logWarning(`${failure.message}${held === undefined ? "" : ". The last ones stay in force"}`)
      : Effect.void
  }))

  const { load, underWay } = oneAtATime(attempt, yield* Effect.scope)
  const current = Effect.suspend(() =>
    held !== undefined
      ? Effect.succeed(held.keys)
      : failure === undefined || underWay()
      ? Effect.flatMap(load, answer)
      : failure
  )
  const answer = () =>
    held === undefined
      ? failure ?? new KeysUnavailable({ provider, why: "the server is closing" })
      : Effect.succeed(held.keys)

  yield* Effect.forkScoped(
    Effect.flatMap(load, () => failure ?? Effect.void).pipe(
      Effect.retry(backoff),
      Effect.andThen(Effect.sleep(freshMilliseconds)),
      Effect.forever
    ),
    { startImmediately: true }
  )

  return {
    current,
    refreshed: Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const { left } = allowance = refill(allowance, now)
      if (left < 1) return current
      allowance = { left: left - 1, at: now }
      return Effect.flatMap(load, answer)
    })
  }
})

/** How many readings callers may still cause, as of `at`. */
interface Allowance {
  readonly left: number
  readonly at: number
}

const refill = ({ at, left }: Allowance, now: number): Allowance => ({
  left: Math.min(burst, left + Math.max(0, now - at) / cooldownMilliseconds),
  at: now
})

/** Runs `attempt` once at a time, for all callers that wait meanwhile. It goes on when one of them leaves. */
const oneAtATime = (
  attempt: Effect.Effect<void>,
  scope: Scope.Scope
): { readonly load: Effect.Effect<void>; readonly underWay: () => boolean } => {
  let underWay: Deferred.Deferred<void> | undefined
  const load = Effect.suspend(() => {
    if (underWay !== undefined) return Deferred.await(underWay)
    const done = underWay = Deferred.makeUnsafe<void>()
    const running = Effect.ensuring(
      attempt,
      Effect.sync(() => {
        underWay = undefined
        Deferred.doneUnsafe(done, Effect.void)
      })
    )
    return Effect.andThen(Effect.forkIn(running, scope, { startImmediately: true }), Deferred.await(done))
  })
  return { load, underWay: () => underWay !== undefined }
}
