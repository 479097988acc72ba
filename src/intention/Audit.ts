/**
 * Audit mode: decisions are made and recorded as usual, and every caller is admitted. It shows what a policy would break
 * before it breaks it. It is off by default, and a warning says so while it is on.
 */
import type * as Authorizer from "./Authorizer.ts"
import type * as Decision from "./Decision.ts"

/** Where it is on. */
export type Scope =
  | { readonly _tag: "Nowhere" }
  | { readonly _tag: "Everywhere" }
  /** At these destinations, named without regard to letter case. */
  | { readonly _tag: "Destinations"; readonly names: ReadonlySet<string> }

export const nowhere: Scope = { _tag: "Nowhere" }
export const everywhere: Scope = { _tag: "Everywhere" }
export const destinations = (names: Iterable<string>): Scope => {
  const set = new Set(Array.from(names, (name) => name.toLowerCase()))
  return set.size === 0 ? nowhere : { _tag: "Destinations", names: set }
}

export const isOn = (scope: Scope, destination: string): boolean =>
  scope._tag === "Everywhere" || (scope._tag === "Destinations" && scope.names.has(destination.toLowerCase()))

/** To be logged as a warning when a destination starts, and again from time to time. */
export const warning = (destination: string): string =>
  `audit mode is on: nothing is enforced at ${destination}, and every caller with a certificate of the mesh is admitted. ` +
  "Refusals are only recorded. Turn it off to enforce intentions"

/** The decision, turned into one that admits. One that allows is returned as it is; others are remembered, not made anew. */
export const letThrough = (decision: Decision.Decision): Decision.Decision => {
  if (decision.allowed) return decision
  const present = known.get(decision)
  if (present !== undefined) return present
  const made: Decision.Decision = { ...decision, allowed: true, audited: true }
  known.set(decision, made)
  return made
}

/** Decisions live as long as the Authorizer that made them. */
const known = new WeakMap<Decision.Decision, Decision.Decision>()

/** The same Authorizer if audit mode is off. Otherwise one that admits every caller, with `audited` decisions for refusals. */
export const authorizer = (scope: Scope, authorizer: Authorizer.Authorizer): Authorizer.Authorizer =>
  isOn(scope, authorizer.destination.service)
    ? {
      ...authorizer,
      audited: true,
      connection: (source) => letThrough(authorizer.connection(source)),
      request: (source, request, tokens) => letThrough(authorizer.request(source, request, tokens))
    }
    : authorizer
