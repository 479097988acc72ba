/**
 * The answer to "may this caller?", with its evidence, so that the log, the metric and the command line all say the same.
 * Decisions are made when intentions are compiled and shared by all callers that they fit: they name no caller.
 */
import type * as Intention from "./Intention.ts"

/** An intention as people name it. Names are `web`, `team/web` or `west/team/web`, with `peer:east/` before a peer's. */
export interface Rule {
  readonly source: string
  readonly destination: string
  /** 1 to 9. */
  readonly precedence: number
  readonly action: "allow" | "deny" | "permissions"
  readonly intention: Intention.Intention
}

/**
 * - `intention`: the action of the intention `by`
 * - `permission`: the action of its permission number `permission`
 * - `needs-http`: it has permissions or requires a token, and there is no request to evaluate: `detail` says which
 * - `undecidable`: it, or its permission, says something that cannot be evaluated: `detail` says what
 * - `no-intention`: no intention covers the caller, so the default policy decides
 * - `no-permission`: none of its permissions matches the request, so the default policy decides
 * - `token-missing`: a required token was not presented, so the default policy decides
 * - `not-a-service`: the caller is `detail`, and intentions are about services only
 * - `ambiguous`: the request can be understood in several ways: `detail` says which
 * - `agent`: the agent was asked, and gave `detail` as its reason
 */
export type Because =
  | "intention"
  | "permission"
  | "needs-http"
  | "undecidable"
  | "no-intention"
  | "no-permission"
  | "token-missing"
  | "not-a-service"
  | "ambiguous"
  | "agent"

export interface Decision {
  readonly allowed: boolean
  readonly because: Because
  /** The intention that covers the caller. None for `no-intention` and `not-a-service`. */
  readonly by: Rule | undefined
  /** Position in the intention's list of permissions, from 0. */
  readonly permission: number | undefined
  readonly detail: string | undefined
  /** It would have been a refusal, and audit mode turned it into an allow. */
  readonly audited?: true
  /** A refusal of a request that has several lines of one header, and would be allowed if they were joined. */
  readonly byLine?: true
}

export const make = (
  allowed: boolean,
  because: Because,
  by?: Rule,
  permission?: number,
  detail?: string
): Decision => ({ allowed, because, by, permission, detail })

/** The refusal, as one that rests on reading the lines of a header one by one. Remembered, not made anew. */
export const byLine = (decision: Decision): Decision => {
  const present = knownByLine.get(decision)
  if (present !== undefined) return present
  const made: Decision = { ...decision, byLine: true }
  knownByLine.set(decision, made)
  return made
}

/** Decisions live as long as the Authorizer that made them. */
const knownByLine = new WeakMap<Decision, Decision>()

/** Whether the default policy answered, and no intention did. */
export const byDefault = (decision: Decision): boolean =>
  decision.because === "no-intention" || decision.because === "no-permission" || decision.because === "token-missing"

/** One line for a log: `denied by intention * → api (precedence 8)`. */
export const explain = (decision: Decision): string =>
  decision.byLine === true ? `${reason(decision)} (by the lines of a header that it has several of)` : reason(decision)

const reason = (decision: Decision): string => {
  const verdict = decision.audited === true
    ? "let through by audit mode, would be denied"
    : decision.allowed
    ? "allowed"
    : "denied"
  const rule = decision.by === undefined ? "" : `intention ${formatRule(decision.by)}`
  const place = decision.permission === undefined ? rule : `${permissionName(decision.permission)} of ${rule}`
  switch (decision.because) {
    case "intention":
    case "permission":
      return `${verdict} by ${place}`
    case "needs-http":
      return `${verdict}: ${place === "" ? "" : `${place} `}${decision.detail}`
    case "undecidable":
      return `${verdict}: ${place} cannot be evaluated: ${decision.detail}`
    case "no-intention":
      return `${verdict} by the default policy: no intention is about this caller`
    case "no-permission":
      return `${verdict} by the default policy: no permission of ${rule} is about this request`
    case "token-missing":
      return `${verdict} by the default policy: ${place} requires a token of ${decision.detail}`
    case "ambiguous":
      return `${verdict}: ${decision.detail}`
    case "agent":
      return `${verdict} by the agent: ${decision.detail}`
    case "not-a-service":
      return `${verdict}: the caller is ${decision.detail}, and intentions are about services`
  }
}

/** `web → api (precedence 9)` */
export const formatRule = (rule: Rule): string => `${rule.source} → ${rule.destination} (precedence ${rule.precedence})`

/** `permission 2`: people count from 1. */
export const permissionName = (index: number): string => `permission ${index + 1}`

/** For machines: plain JSON, without the absent parts. */
export const toJson = (decision: Decision): Json => ({
  allowed: decision.allowed,
  because: decision.because,
  default: byDefault(decision),
  ...(decision.by === undefined ? {} : {
    intention: {
      source: decision.by.source,
      destination: decision.by.destination,
      precedence: decision.by.precedence,
      action: decision.by.action
    }
  }),
  ...(decision.audited === true ? { audited: true } : {}),
  ...(decision.byLine === true ? { byLine: true } : {}),
  ...(decision.permission === undefined ? {} : { permissionIndex: decision.permission }),
  ...(decision.detail === undefined ? {} : { detail: decision.detail })
})

export interface Json {
  readonly allowed: boolean
  readonly because: Because
  readonly default: boolean
  readonly audited?: true
  readonly byLine?: true
  readonly intention?: Omit<Rule, "intention">
  /** From 0. */
  readonly permissionIndex?: number
  readonly detail?: string
}
