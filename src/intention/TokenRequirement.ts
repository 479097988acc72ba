/**
 * The `JWT` part of an intention or of a permission: which tokens it demands. Verifying tokens is done elsewhere; here a
 * provider is fulfilled when there is a verified token of it (signature, lifetime, audience, issuer) and the claims hold.
 */
import type * as Intention from "./Intention.ts"
import * as Truth from "./Truth.ts"

/** The payload of a verified token. */
export type Claims = { readonly [claim: string]: unknown }

/** The verified token of a provider, by the name of its `jwt-provider` entry, if the request has one. */
export type Tokens = (provider: string) => Claims | undefined

/** Of a request without tokens, and of a proxy that cannot verify any. */
export const noTokens: Tokens = () => undefined

export interface Requirement {
  /** For people: the providers, any of which will do. */
  readonly providers: string
  readonly judge: (tokens: Tokens) => Truth.Truth
}

/** Whether a token is required. */
export const isDemanded = (jwt: Intention.JwtRequirement | undefined): boolean =>
  (jwt?.Providers ?? []).length > 0 || (jwt?.UnknownFields ?? []).length > 0

/** `undefined` if no token is required. */
export const compile = (
  jwt: Intention.JwtRequirement | undefined,
  report: (flaw: string) => void
): Requirement | undefined => {
  const providers = jwt?.Providers ?? []
  const unknown = jwt?.UnknownFields ?? []
  if (!isDemanded(jwt)) return undefined
  for (const field of unknown) report(`the token requirement has the unknown field ${field}`)
  const judges = providers.map((provider) => compileProvider(provider, report))
  return {
    providers: providers.map((provider) => provider.Name || "?").join(" or "),
    judge: (tokens) => {
      let verdict: Truth.Truth = Truth.No
      for (const judge of judges) verdict = Truth.some(verdict, judge(tokens))
      return unknown.length === 0 ? verdict : Truth.Unknown
    }
  }
}

const compileProvider = (
  provider: Intention.JwtProvider,
  report: (flaw: string) => void
): (tokens: Tokens) => Truth.Truth => {
  const claims = provider.VerifyClaims ?? []
  const flaws = [
    ...(provider.Name === "" ? ["a token provider has no name"] : []),
    ...(provider.UnknownFields ?? []).map((field) =>
      `the token provider ${provider.Name} has the unknown field ${field}`
    ),
    ...claims.flatMap((claim) => [
      ...(claim.Path === undefined ? [`a claim of the token provider ${provider.Name} has no path`] : []),
      ...(claim.UnknownFields ?? []).map((field) => `a claim of ${provider.Name} has the unknown field ${field}`)
    ])
  ]
  flaws.forEach(report)
  return (tokens) => {
    if (flaws.length > 0) return Truth.Unknown
    const token = tokens(provider.Name)
    return Truth.fromBoolean(token !== undefined && claims.every((claim) => holds(claim, token)))
  }
}

/**
 * The claim at the path equals the value. Only a string does: a list fails even when an element of it is equal, because that
 * is what sidecars enforce today, although the description of the field promises otherwise.
 */
export const holds = (claim: Intention.JwtClaim, token: Claims): boolean => {
  let value: unknown = token
  for (const key of claim.Path ?? []) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return false
    value = (value as Claims)[key]
  }
  return value === claim.Value
}
