/** The keys of a token provider, from the entry, a file or its URL. Fetched ones are kept while new ones can not be had. */
import { Clock, Effect, Ref, Schedule, Schema, Semaphore } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import * as Jose from "jose"
import { readFile } from "node:fs/promises"
import type * as JwtProvider from "./JwtProvider.ts"

/** The keys of a provider can not be had. Its tokens count as absent until they can. */
export class KeysUnavailable extends Schema.TaggedError<KeysUnavailable>()("KeysUnavailable", {
  provider: Schema.String,
  why: Schema.String
}) {
  override readonly message = `the keys of the token provider ${this.provider} can not be had: ${this.why}`
}

export interface Jwks {
  readonly current: Effect.Effect<Jose.LocalJWKSet, KeysUnavailable>
  /** After a token named a key that is not there: fetches again, unless that was done a moment ago. */
  readonly refreshed: Effect.Effect<Jose.LocalJWKSet, KeysUnavailable>
}

const KeySet = Schema.Struct({ keys: Schema.Array(Schema.Record(Schema.String, Schema.Unknown)) })

/** A key that nobody knows makes us ask again this often at most, so that callers can not make us ask all the time. */
const cooldownMilliseconds = 30_000

export const make = (
  provider: JwtProvider.JwtProvider
): Effect.Effect<Jwks, never, HttpClient.HttpClient> => {
  const { keys } = provider
  switch (keys._tag) {
    case "Inline":
      return fixed(parse(provider, keys.jwks))
    case "File":
      return fixed(
        Effect.flatMap(
          Effect.tryPromise({ try: () => readFile(keys.path, "utf8"), catch: (cause) => unavailable(provider, cause) }),
          (text) => parse(provider, text)
        )
      )
    case "Remote":
      return remote(provider, keys)
  }
}

const unavailable = (provider: JwtProvider.JwtProvider, cause: unknown) =>
  new KeysUnavailable({ provider: provider.name, why: cause instanceof Error ? cause.message : String(cause) })

const fixed = (read: Effect.Effect<Jose.LocalJWKSet, KeysUnavailable>): Effect.Effect<Jwks> =>
  Effect.map(Effect.cached(read), (current) => ({ current, refreshed: current }))

const parse = (
  provider: JwtProvider.JwtProvider,
  text: string
): Effect.Effect<Jose.LocalJWKSet, KeysUnavailable> =>
  Schema.decodeEffect(Schema.fromJsonString(KeySet))(text).pipe(
    Effect.flatMap(({ keys }) =>
      Effect.try({
        try: () => Jose.createLocalJWKSet({ keys: keys.map((key) => ({ ...key })) } as Jose.JSONWebKeySet),
        catch: (cause) => unavailable(provider, cause)
      })
    ),
    Effect.mapError((error) => unavailable(provider, error))
  )

interface Fetched {
  readonly keys: Jose.LocalJWKSet
  readonly at: number
}

const remote = Effect.fnUntraced(function*(
  provider: JwtProvider.JwtProvider,
  source: Extract<JwtProvider.KeySource, { _tag: "Remote" }>
) {
  const client = yield* HttpClient.HttpClient
  const held = yield* Ref.make<Fetched | undefined>(undefined)
  const triedAt = yield* Ref.make(-Infinity)
  const one = yield* Semaphore.make(1)

  const fetch = client.get(source.uri).pipe(
    Effect.flatMap(HttpClientResponse.filterStatusOk),
    Effect.flatMap((response) => response.text),
    Effect.timeout(source.timeoutMilliseconds),
    Effect.retry(Schedule.exponential("1 second").pipe(Schedule.upTo({ times: source.retries }))),
    Effect.mapError((error) => unavailable(provider, error)),
    Effect.flatMap((text) => parse(provider, text))
  )

  /** Keys that are no older than this; older ones where no others can be had. */
  const within = (milliseconds: number, cooldown: number) =>
    one.withPermits(1)(Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const present = yield* Ref.get(held)
      const fresh = present !== undefined && now - present.at < milliseconds
      if (fresh || (present !== undefined && now - (yield* Ref.get(triedAt)) < cooldown)) return present.keys
      yield* Ref.set(triedAt, now)
      return yield* fetch.pipe(
        Effect.tap((keys) => Ref.set(held, { keys, at: now })),
        Effect.catch((error) =>
          present === undefined
            ? Effect.fail(error)
            : Effect.as(Effect.logWarning(`${error.message}: going on with those of before`), present.keys)
        )
      )
    }))

  return {
    current: within(source.cacheMilliseconds, 1000),
    refreshed: within(0, cooldownMilliseconds)
  }
})
