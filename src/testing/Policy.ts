/**
 * Laws of a policy in one line, for `it.prop`:
 *
 * ```ts
 * const policy = Policy.read("policy/", { defaultPolicy: "deny" })
 *
 * it.prop("only checkout reaches payments", ...Policy.never(policy, { from: "*", except: ["checkout"], to: "payments" }))
 * ```
 *
 * They sample: `effect-mesh policy verify` proves the same statements. What they add is that they ask the `Authorizer`, as the
 * proxies do, and that any other law can be written over the same calls.
 */
import { Arbitrary, Effect, Result } from "effect"
import * as Decision from "../intention/Decision.ts"
import type * as Analysis from "../policy/space/Analysis.ts"
import * as Callers from "../policy/Callers.ts"
import * as Entries from "../policy/source/Entries.ts"
import * as Document from "../policy/source/Document.ts"
import * as Folder from "../policy/source/Folder.ts"
import * as Mesh from "../policy/Mesh.ts"
import * as Names from "../policy/Names.ts"
import * as Policy from "../policy/Policy.ts"
import * as Witnesses from "../policy/space/Witnesses.ts"
import * as Arbitraries from "./Arbitraries.ts"

export type { Policy } from "../policy/Policy.ts"
export { make } from "../policy/Policy.ts"

export interface Options {
  /** What holds where no intention matches. Must be given unless a file says it (an agent's configuration): it is never guessed. */
  readonly defaultPolicy?: "allow" | "deny"
  /** Services that exist, besides those that are named anyway. */
  readonly services?: ReadonlyArray<string>
}

/** From files and folders of config entries. Throws with every problem, its file and its position. */
export const read = (paths: string | ReadonlyArray<string>, options: Options = {}): Policy.Policy =>
  fromSources(
    list(paths).flatMap((path) => {
      const found = Folder.read(path)
      const missing = Result.isFailure(found) ? [found.failure] : found.success.missing
      if (missing.length > 0) throw new Error(`the policy can not be read:\n${missing.join("\n")}`)
      return Result.getOrThrow(found).sources
    }),
    options
  )

/** From config entries as `consul config write` takes them. */
export const fromEntries = (entries: ReadonlyArray<object>, options: Options = {}): Policy.Policy =>
  fromSources([{ file: "entries.json", text: JSON.stringify(entries, null, 2) }], options)

const fromSources = (sources: ReadonlyArray<Entries.Source>, options: Options): Policy.Policy => {
  const entries = Entries.read(sources)
  if (Result.isFailure(entries)) {
    throw new Error(`the policy can not be read:\n${entries.failure.map(Document.format).join("\n")}`)
  }
  const defaultPolicy = options.defaultPolicy ?? entries.success.defaultPolicy
  if (defaultPolicy === undefined) {
    throw new Error(
      "which default policy holds where no intention matches? The files do not say: give { defaultPolicy: \"deny\" }, or " +
        "\"allow\", as your agents have it"
    )
  }
  for (const note of entries.success.notes) process.emitWarning(Document.format(note))
  return Policy.make({
    ...entries.success,
    defaultPolicy,
    services: [...entries.success.services, ...options.services ?? []]
  })
}

/** Whom a law is about. Names are those of `effect-mesh policy verify`: `web`, `team/*`, `peer:east/web`, `*`. */
export interface Scope {
  /** Default: everybody. */
  readonly from?: string | ReadonlyArray<string>
  readonly except?: string | ReadonlyArray<string>
  readonly to: string | ReadonlyArray<string>
  /** Other requests do not count. */
  readonly when?: (request: Analysis.Witness) => boolean
}

/** What `it.prop` takes after the name. */
export type Law = readonly [
  { readonly call: Arbitrary.Arbitrary<Arbitraries.Call> },
  (input: { readonly call: Arbitraries.Call }) => void
]

/** None of these calls is allowed. */
export const never = (policy: Policy.Policy, scope: Scope): Law =>
  law(policy, scope, (decision) => decision.allowed ? "must not be allowed" : undefined)

/** All of these calls are allowed, without tokens too. */
export const always = (policy: Policy.Policy, scope: Scope): Law =>
  law(policy, scope, (decision) => decision.allowed ? undefined : "must be allowed")

/** These callers may, and nobody else does. */
export const only = (policy: Policy.Policy, scope: Scope & { readonly from: string | ReadonlyArray<string> }): Law =>
  never(policy, { ...scope, from: "*", except: scope.from })

/** Any other law: a sentence about what is wrong, or nothing. */
export const law = (
  policy: Policy.Policy,
  scope: Scope,
  judge: (decision: Decision.Decision, call: Arbitraries.Call) => string | undefined
): Law => {
  const mesh = Mesh.make(policy)
  const callers = select(mesh, scope)
  const destinations = targets(policy, scope.to)
  const byLabel = new Map(callers.map((caller) => [caller.label, caller]))
  return [
    { call: Arbitraries.calls(policy, callers, destinations, mesh) },
    ({ call }) => {
      if (scope.when?.(call.request) === false) return
      const caller = byLabel.get(call.from)!
      const destination = destinations.find((each) => each.label === call.to)!
      const decision = mesh.ask(caller, destination, call.request)
      const wrong = judge(decision, call)
      if (wrong !== undefined) {
        throw new Error(
          `${call.from} → ${call.to} with ${Witnesses.describe(call.request)} ${wrong}: ${Decision.explain(decision)}`
        )
      }
    }
  ]
}

/** The same law for `it.effect.prop`. */
export const effect = ([arbitraries, test]: Law) =>
  [
    arbitraries,
    (input: { readonly call: Arbitraries.Call }): Effect.Effect<void> => Effect.sync(() => test(input))
  ] as const

const list = (names: string | ReadonlyArray<string>): ReadonlyArray<string> =>
  typeof names === "string" ? [names] : names

/** Throws on a name that matches nobody: a law about nobody would always hold. */
const select = (mesh: Mesh.Mesh, { except = [], from = "*" }: Scope): ReadonlyArray<Callers.Caller> => {
  const all = Arbitraries.callers(mesh.policy)
  const matching = (patterns: ReadonlyArray<string>) =>
    new Set(patterns.flatMap((pattern) => {
      const found = all.filter((caller) => Callers.covers(pattern, caller))
      if (found.length === 0) throw new Error(`no caller is named ${pattern}: add it to services, or correct it`)
      return found
    }))
  const excluded = matching(list(except))
  const found = [...matching(list(from))].filter((caller) => !excluded.has(caller))
  if (found.length === 0) throw new Error("the law is about no caller at all")
  return found
}

const targets = (policy: Policy.Policy, to: string | ReadonlyArray<string>): ReadonlyArray<Policy.Destination> => {
  const all = Arbitraries.destinations(policy)
  return list(to).flatMap((pattern) => {
    const found = pattern === "*" ? all : all.filter((each) => !each.other && Names.same(each, Names.parse(pattern)))
    if (found.length === 0) throw new Error(`no destination is named ${pattern}: add it to services, or correct it`)
    return found
  })
}
