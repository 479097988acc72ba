/**
 * Verifies the tokens of the requests of one server: follows the providers that its intentions name, and keeps the keys of
 * each until it is another one.
 */
import { Context, type Duration, Effect, Equal, Exit, Option, Result, Scope, Stream, SubscriptionRef } from "effect"
import type * as HttpRequest from "../../../intention/HttpRequest.ts"
import type * as JwtProvider from "../../../watch/JwtProvider.ts"
import * as JwtProviders from "../../../watch/JwtProviders.ts"
import * as Watched from "../../../watch/Watched.ts"
import * as RequestChanges from "../../../http/RequestChanges.ts"
import * as JwksFetch from "./JwksFetch.ts"
import * as TokenVerifier from "./TokenVerifier.ts"

export interface RequestTokens {
  /** Headers, in lower case, that carry payloads or identities. What callers make up in them must not be seen by anybody. */
  readonly reserved: () => ReadonlySet<string>
  /** Of the provider of this name. Waits for it and its keys, but not long, then says that they are not there. */
  readonly verify: (provider: string, request: HttpRequest.HttpRequest) => Effect.Effect<TokenVerifier.Verified>
}

interface Entry {
  readonly provider: Result.Result<JwtProvider.JwtProvider, string>
  readonly verifier: Result.Result<TokenVerifier.TokenVerifier, string>
  readonly scope: Scope.Closeable
}

/** How long a request waits for a provider and its keys. */
const patience: Duration.Input = "5 seconds"

/**
 * What sidecars say of the caller's certificate. An application that came from behind one may believe it, and a service,
 * unlike a gateway, is not believed what it says about others.
 */
const claimed: ReadonlySet<string> = new Set(["x-forwarded-client-cert"])

/** Waits until the providers are known, but not long: they may never be. */
export const make = Effect.gen(function*(): Effect.fn.Return<
  RequestTokens,
  never,
  JwtProviders.JwtProviders | Scope.Scope
> {
  const providers = yield* JwtProviders.JwtProviders
  const fetch = yield* Fetch
  const scope = yield* Effect.scope
  const entries = yield* SubscriptionRef.make<ReadonlyMap<string, Entry>>(new Map())
  let reserved: ReadonlySet<string> = claimed
  /** Names that somebody has waited for in vain, as of the last change: nobody else does. */
  let missing = new Set<string>()

  const follow = Effect.fnUntraced(function*(current: JwtProviders.Providers) {
    const before = SubscriptionRef.getUnsafe(entries)
    const after = new Map<string, Entry>()
    for (const [name, provider] of current) {
      const known = before.get(name)
      const kept = known !== undefined && Equal.equals(known.provider, provider)
      after.set(name, kept ? known : yield* start(name, provider, fetch, yield* Scope.fork(scope)))
    }
    reserved = reservedBy(current)
    missing = new Set()
    yield* SubscriptionRef.set(entries, after)
    for (const [name, entry] of before) {
      if (after.get(name) !== entry) yield* Scope.close(entry.scope, Exit.void)
    }
  }, Effect.uninterruptible)

  yield* Watched.readyWithin(providers, patience).pipe(
    Effect.flatMap((latest) => follow(latest())),
    Effect.catch((error) => Effect.logWarning(`${error.message}. Requests that need tokens are refused until then`))
  )
  yield* Effect.forkScoped(Stream.runForEach(providers.changes, follow))

  const verify: RequestTokens["verify"] = (name, request) =>
    Effect.suspend(() => {
      if (missing.has(name)) return Effect.succeed(notThere)
      return Effect.flatMap(arrived(entries, name), ({ verifier }) =>
        Result.isFailure(verifier) ? Effect.succeed(rejected(verifier.failure)) : verifier.success.verify(request))
        .pipe(
          Effect.timeoutOrElse({
            duration: patience,
            orElse: () =>
              Effect.sync(() => {
                if (SubscriptionRef.getUnsafe(entries).has(name)) {
                  return late
                }
                missing.add(name)
                return notThere
              })
          })
        )
    })

  return { reserved: () => reserved, verify }
})

/** Verifies tokens of one provider until `scope` closes. */
const start = Effect.fnUntraced(function*(
  name: string,
  provider: Entry["provider"],
  fetch: JwksFetch.Fetch,
  scope: Scope.Closeable
): Effect.fn.Return<Entry> {
  if (Result.isFailure(provider)) {
    yield* Effect.logWarning(`tokens of ${name} can not be verified: ${provider.failure}`)
    return { provider, verifier: Result.fail("its provider is not set up rightly"), scope }
  }
  const verifier = yield* Scope.provide(TokenVerifier.make(provider.success, fetch), scope)
  return { provider, verifier: Result.succeed(verifier), scope }
})

/** The entry of this name, as soon as there is one. */
const arrived = (
  entries: SubscriptionRef.SubscriptionRef<ReadonlyMap<string, Entry>>,
  name: string
): Effect.Effect<Entry> =>
  Effect.suspend(() => {
    const entry = SubscriptionRef.getUnsafe(entries).get(name)
    return entry !== undefined ? Effect.succeed(entry) : SubscriptionRef.changes(entries).pipe(
      Stream.filter((now) => now.has(name)),
      Stream.runHead,
      Effect.map((now) => Option.getOrThrow(now).get(name)!)
    )
  })

const reservedBy = (providers: JwtProviders.Providers): ReadonlySet<string> => {
  const headers = new Set(claimed)
  for (const provider of providers.values()) {
    if (Result.isSuccess(provider) && provider.success.payload !== undefined) {
      headers.add(provider.success.payload.header)
    }
  }
  return headers
}

/** How keys are fetched. Tests give another one. */
export const Fetch = Context.Reference<JwksFetch.Fetch>("effect-mesh/native/jwt/RequestTokens/Fetch", {
  defaultValue: () => JwksFetch.fetch
})

const rejected = (why: string): TokenVerifier.Verified => ({
  claims: undefined,
  rejected: why,
  changes: RequestChanges.none
})

const notThere = rejected("its provider is not known here")
const late = rejected("the keys of its provider did not arrive in time")
