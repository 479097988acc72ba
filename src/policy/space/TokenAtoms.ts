/**
 * The tokens that a request may carry, as far as requirements can tell: of each provider none, or one with some of the claims
 * that some requirement asks for. Claims that exclude each other (two values of one path) never come together.
 */
import type * as Intention from "../../intention/Intention.ts"
import type * as TokenRequirement from "../../intention/TokenRequirement.ts"
import type * as Dimension from "./Dimension.ts"
import { Refusal } from "./Refusal.ts"

export const make = (
  requirements: ReadonlyArray<Intention.JwtRequirement | undefined>,
  limit: number
): ReadonlyArray<Dimension.Dimension> => {
  const providers = new Map<
    string,
    Map<string, { readonly path: ReadonlyArray<string>; readonly values: Set<string> }>
  >()
  for (const provider of requirements.flatMap((requirement) => requirement?.Providers ?? [])) {
    const claims = providers.get(provider.Name) ?? new Map()
    providers.set(provider.Name, claims)
    for (const { Path: path = [], Value: value } of provider.VerifyClaims ?? []) {
      const key = JSON.stringify(path)
      const claim = claims.get(key) ?? { path, values: new Set() }
      claims.set(key, claim)
      if (path.length > 0) claim.values.add(value)
    }
  }
  return Array.from(providers, ([name, claims]) => {
    let tokens: ReadonlyArray<Token> = [{ claims: nothing(), count: 0 }]
    for (const { path, values } of claims.values()) {
      tokens = [
        ...tokens,
        ...tokens.flatMap((token) =>
          [...values].flatMap((value) => {
            const claims = add(token.claims, path, value)
            return claims === undefined ? [] : [{ claims, count: token.count + 1 }]
          })
        )
      ]
      if (tokens.length > limit) {
        throw new Refusal(`tokens of ${name} are told apart by too many combinations of claims`)
      }
    }
    return {
      kind: "token",
      name,
      values: [
        { text: undefined, lines: undefined, claims: undefined, cost: 0 },
        ...tokens.map(({ claims, count }) => ({ text: undefined, lines: undefined, claims, cost: 20 + 5 * count }))
      ],
      find: () => undefined
    }
  })
}

interface Token {
  readonly claims: TokenRequirement.Claims
  readonly count: number
}

/** Without a prototype, so that `__proto__` is a claim like any other. */
const nothing = (): Record<string, unknown> => Object.create(null) as Record<string, unknown>

/** `undefined` where the path runs through a text, or ends at an object. */
const add = (
  claims: TokenRequirement.Claims,
  path: ReadonlyArray<string>,
  value: string
): TokenRequirement.Claims | undefined => {
  const [key, ...rest] = path
  if (key === undefined) return undefined
  const present = claims[key]
  const copy = Object.assign(nothing(), claims)
  if (rest.length === 0) {
    if (present !== undefined) return undefined
    copy[key] = value
    return copy
  }
  if (typeof present === "string") return undefined
  const inner = add((present as TokenRequirement.Claims | undefined) ?? nothing(), rest, value)
  if (inner === undefined) return undefined
  copy[key] = inner
  return copy
}
