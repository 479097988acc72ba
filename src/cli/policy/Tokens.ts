/** The tokens of a request that is asked about, as `--claim` and `--token` give them. Nothing is verified. */
import { Effect, Result } from "effect"
import { Flag } from "effect/cli"
import { readFile } from "node:fs/promises"
import { text as readAll } from "node:stream/consumers"
import type * as Intention from "../../intention/Intention.ts"
import type * as TokenRequirement from "../../intention/TokenRequirement.ts"
import * as Nearest from "../../policy/Nearest.ts"
import { PolicyError } from "./PolicyError.ts"

export const flags = {
  claim: Flag.String("claim").pipe(
    Flag.withDescription(
      "A claim of a verified token: okta:role=admin, okta:realm.team=red, or with JSON okta:groups:='[\"a\"]'; okta alone is a " +
        "token without claims. May be repeated"
    ),
    Flag.withMetavar("PROVIDER:PATH=VALUE"),
    Flag.atLeast(0)
  ),
  tokenPayload: Flag.String("token-payload").pipe(
    Flag.withDescription(
      "A file with a token or its payload in JSON, - for standard input; PROVIDER= may be left out where the policy names " +
        "one provider only. It is taken as verified. May be repeated"
    ),
    Flag.withMetavar("[PROVIDER=]FILE"),
    Flag.atLeast(0)
  )
}

export interface Given {
  readonly claim: ReadonlyArray<string>
  readonly tokenPayload: ReadonlyArray<string>
}

export interface Tokens {
  readonly tokens: ReadonlyArray<readonly [provider: string, claims: TokenRequirement.Claims]>
  /** Remarks for the user. */
  readonly notes: ReadonlyArray<string>
}

/** Those whose tokens the intentions ask for. */
export const providers = (intentions: ReadonlyArray<Intention.Intention>): ReadonlyArray<string> => [
  ...new Set(
    intentions.flatMap(({ JWT, Permissions = [] }) => [JWT, ...Permissions.map((permission) => permission.JWT)])
      .flatMap(
        (jwt) => (jwt?.Providers ?? []).map(({ Name }) => Name)
      )
  )
]

type Claims = Record<string, unknown>

export const read = Effect.fnUntraced(function*(given: Given, known: ReadonlyArray<string>, now: number) {
  const found = new Map<string, Claims>()
  const notes: Array<string> = []
  for (const text of given.tokenPayload) {
    const [provider, file] = yield* named(text, known)
    yield* asked(provider, known)
    if (found.has(provider)) {
      return yield* new PolicyError({
        why: `two tokens of ${provider} are given: give one, because only one counts for a request`
      })
    }
    const claims = yield* payload(file)
    found.set(provider, claims)
    notes.push(noteOn(provider, claims, now))
  }
  for (const text of given.claim) {
    const [, provider, path, json, value] = /^([^:=]+)(?::([^=]*?)(:?)=(.*))?$/s.exec(text) ?? []
    if (provider === undefined || path === "") {
      return yield* new PolicyError({
        why: `--claim ${JSON.stringify(text)} is not understood: write provider:path=value, or provider:path:=JSON`
      })
    }
    yield* asked(provider, known)
    const claims = found.get(provider) ?? {}
    found.set(provider, claims)
    if (path !== undefined && value !== undefined) yield* add(claims, text, path, value, json === ":")
  }
  return { tokens: [...found], notes } satisfies Tokens as Tokens
})

/** Whose token it is, and the file it is in. */
const named = (
  text: string,
  known: ReadonlyArray<string>
): Effect.Effect<readonly [provider: string, file: string], PolicyError> => {
  const [, named, file] = /^(?:([^=/]+)=)?(.*)$/s.exec(text)!
  const provider = named ?? (known.length === 1 ? known[0]! : undefined)
  return provider !== undefined ? Effect.succeed([provider, file!]) : Effect.fail(
    new PolicyError({
      why: `--token-payload ${text} does not say whose token it is: write PROVIDER=${text}, with one of ${
        known.join(", ") || "no provider: no intention asks for a token"
      }`
    })
  )
}

/** Fails where no intention asks for a token of this provider. */
const asked = (provider: string, known: ReadonlyArray<string>): Effect.Effect<void, PolicyError> =>
  known.includes(provider)
    ? Effect.void
    : Effect.fail(
      new PolicyError({
        why: `no intention asks for a token of ${JSON.stringify(provider)}${
          known.length === 0
            ? ": none asks for any token, so leave it out"
            : `${Nearest.ask(provider, known)} Known are ${known.join(", ")}`
        }`
      })
    )

const noteOn = (provider: string, { exp }: Claims, now: number): string =>
  `the token of ${provider} is taken as verified: its signature, issuer, audience and lifetime were not checked` +
  (typeof exp === "number" && exp * 1000 < now ? ". It has expired: a proxy would not take it" : "")

/** One claim more, as JSON or as a text. */
const add = (
  claims: Claims,
  text: string,
  path: string,
  value: string,
  isJson: boolean
): Effect.Effect<void, PolicyError> => {
  const wrong = (why: string) => Effect.fail(new PolicyError({ why: `--claim ${JSON.stringify(text)} ${why}` }))
  const parsed = isJson ? parse(value) : Result.succeed<unknown>(value)
  if (Result.isFailure(parsed)) {
    return wrong("has no JSON behind :=. Write = for a text, := for a list, a number or an object")
  }
  return set(claims, path.split("."), parsed.success)
    ? Effect.void
    : wrong(`contradicts another claim: ${path} is given twice, or lies inside a value that is not an object`)
}

/** False where something is there already, or in the way. */
const set = (claims: Record<string, unknown>, path: ReadonlyArray<string>, value: unknown): boolean => {
  const [key, ...rest] = path
  const present = Object.hasOwn(claims, key!) ? claims[key!] : undefined
  if (rest.length > 0) {
    const inner = present ?? {}
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return false
    if (present === undefined) define(claims, key!, inner)
    return set(inner as Record<string, unknown>, rest, value)
  }
  if (present !== undefined) return false
  define(claims, key!, value)
  return true
}

/** Also of a claim called `__proto__`. */
const define = (claims: Record<string, unknown>, key: string, value: unknown) =>
  Object.defineProperty(claims, key, { value, enumerable: true, configurable: true, writable: true })

const parse = (text: string): Result.Result<unknown, undefined> =>
  Result.try({ try: (): unknown => JSON.parse(text), catch: () => undefined })

/** The payload of a token as it is sent, or by itself. Errors do not show its content, which is private. */
const payload = Effect.fnUntraced(function*(file: string) {
  const name = file === "-" ? "standard input" : file
  const text = (yield* Effect.tryPromise({
    try: () => file === "-" ? readAll(process.stdin) : readFile(file, "utf8"),
    catch: (cause) =>
      new PolicyError({ why: `${name} can not be read: ${cause instanceof Error ? cause.message : String(cause)}` })
  })).trim().replace(/^Bearer\s+/i, "")
  const parts = text.split(".")
  const isToken = parts.length === 3 && !text.startsWith("{")
  const parsed = parse(isToken ? Buffer.from(parts[1]!, "base64url").toString("utf8") : text)
  const claims = Result.getOrUndefined(parsed)
  return typeof claims === "object" && claims !== null && !Array.isArray(claims)
    ? claims as Record<string, unknown>
    : yield* new PolicyError({
      why: `${name} holds no token: expected three parts with dots between them, or the payload, an object in JSON`
    })
})
