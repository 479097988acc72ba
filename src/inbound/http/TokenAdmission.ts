/**
 * Judges a request by the tokens that it carries. Only providers that the verdict depends on are asked: those that the
 * intention, then the permission in question name. Most requests never come here: see `RequestAdmission`.
 */
import { Effect } from "effect"
import type * as Decision from "../../intention/Decision.ts"
import type * as TokenRequirement from "../../intention/TokenRequirement.ts"
import type * as TokenVerifier from "./jwt/TokenVerifier.ts"
import * as RequestChanges from "../../http/RequestChanges.ts"

/** What the tokens of one request said, by provider, as far as anybody has asked. Kept for as long as the request lasts. */
export type Presented = Map<string, TokenVerifier.Verified>

export const nobody: Presented = new Map()

export interface Ruling {
  readonly decision: Decision.Decision
  /** Providers that have to be asked before the decision counts. */
  readonly open: ReadonlySet<string>
}

export const judge = (
  decide: (tokens: TokenRequirement.Tokens) => Decision.Decision,
  presented: Presented
): Ruling => {
  const open = new Set<string>()
  const decision = decide((provider) => {
    const verified = presented.get(provider)
    if (verified === undefined) open.add(provider)
    return verified?.claims
  })
  return { decision, open }
}

/** Asks until nothing is open. `decide` is asked again after each wait, so that it may answer by newer intentions. */
export const settle = Effect.fnUntraced(function*(
  decide: (tokens: TokenRequirement.Tokens) => Decision.Decision,
  presented: Presented,
  verify: (provider: string) => Effect.Effect<TokenVerifier.Verified>
) {
  for (;;) {
    const { decision, open } = judge(decide, presented)
    if (open.size === 0) return explained(decision, presented)
    yield* Effect.forEach(
      open,
      (provider) => Effect.map(verify(provider), (verified) => presented.set(provider, verified)),
      { concurrency: "unbounded", discard: true }
    )
  }
})

/** For the application, of an admitted request. */
export const claims = (presented: Presented): ReadonlyMap<string, TokenRequirement.Claims> =>
  new Map([...presented].flatMap(([provider, { claims }]) => claims === undefined ? [] : [[provider, claims] as const]))

export const changes = (presented: Presented): RequestChanges.RequestChanges =>
  RequestChanges.merge([...presented.values()].map(({ changes }) => changes))

/** Whether it was refused for want of a token that counts. Otherwise the user is known, and may not. */
export const isUnauthenticated = (decision: Decision.Decision, presented: Presented): boolean =>
  decision.because === "token-missing" && demanded(decision).every((name) => presented.get(name)?.claims === undefined)

/** `okta (its token is expired) or auth0 (there is no token)`, instead of the names alone. */
const explained = (decision: Decision.Decision, presented: Presented): Decision.Decision =>
  decision.because !== "token-missing" ? decision : {
    ...decision,
    detail: demanded(decision).map((name) => `${name} (${reasonOf(presented.get(name))})`).join(" or ")
  }

const reasonOf = (verified: TokenVerifier.Verified | undefined): string =>
  verified?.claims !== undefined
    ? "its claims are not the required ones"
    : verified?.rejected ?? "the request carries none"

/** The requirement that was not fulfilled: that of the permission, or that of the whole intention. */
const demanded = ({ by, permission }: Decision.Decision): ReadonlyArray<string> => {
  const requirement = permission === undefined ? by?.intention.JWT : by?.intention.Permissions?.[permission]?.JWT
  return (requirement?.Providers ?? []).map(({ Name }) => Name)
}
