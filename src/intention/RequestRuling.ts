/** The decisions of one intention about requests, compiled. Each possible decision is made here, once. */
import * as Decision from "./Decision.ts"
import * as HttpCondition from "./HttpCondition.ts"
import type * as HttpRequest from "./HttpRequest.ts"
import type * as Intention from "./Intention.ts"
import * as TokenRequirement from "./TokenRequirement.ts"
import * as Truth from "./Truth.ts"

export type RequestRuling = (request: HttpRequest.HttpRequest, tokens: TokenRequirement.Tokens) => Decision.Decision

/** Called with each part that cannot be evaluated, and its permission. */
export type Report = (flaw: string, permission: number | undefined) => void

/**
 * An action holds for every request; of permissions the first whose conditions hold decides, and if none does the default
 * policy, never another intention. A condition that cannot be evaluated denies the requests that it leaves in doubt.
 *
 * Tokens guard only decisions that depart from the default policy. Without them the default policy answers.
 *
 * A request with several lines of a header that a permission looks at is evaluated twice, with the lines joined and one by one.
 * It is denied if either way denies. Sidecars differ in how they read such lines, and a policy must mean the same beside each.
 */
export const compile = (rule: Decision.Rule, defaultAllows: boolean, report: Report): RequestRuling => {
  const required = TokenRequirement.compile(rule.intention.JWT, (flaw) => report(flaw, undefined))
  if (rule.action !== "permissions") {
    return guard(Decision.make(rule.action === "allow", "intention", rule), defaultAllows, [
      demand(rule, undefined, required, defaultAllows)
    ])
  }
  const entries = (rule.intention.Permissions ?? []).map((permission, index) =>
    compilePermission(rule, permission, index, defaultAllows, required, (flaw) => report(flaw, index))
  )
  const noPermission = Decision.make(defaultAllows, "no-permission", rule)
  const decide = (
    request: HttpRequest.HttpRequest,
    tokens: TokenRequirement.Tokens,
    reading: HttpCondition.Reading
  ): Decision.Decision => {
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!
      const verdict = entry.condition(request, reading)
      if (verdict === Truth.Yes) return entry.ruling(request, tokens)
      if (verdict === Truth.Unknown) return entry.undecidable
    }
    return noPermission
  }
  const names = [
    ...new Set((rule.intention.Permissions ?? []).flatMap((permission) => HttpCondition.headers(permission.HTTP)))
  ]
  return (request, tokens) => {
    const joined = decide(request, tokens, "joined")
    if (!joined.allowed || !hasSeveral(request, names)) return joined
    const byLine = decide(request, tokens, "lines")
    return byLine.allowed ? joined : Decision.byLine(byLine)
  }
}

const hasSeveral = (request: HttpRequest.HttpRequest, names: ReadonlyArray<string>): boolean => {
  for (let i = 0; i < names.length; i++) if (request.lines(names[i]!) !== undefined) return true
  return false
}

interface Entry {
  readonly condition: HttpCondition.Condition
  /** For requests that the condition is about. */
  readonly ruling: RequestRuling
  /** For requests that it may be about. */
  readonly undecidable: Decision.Decision
}

const compilePermission = (
  rule: Decision.Rule,
  permission: Intention.Permission,
  index: number,
  defaultAllows: boolean,
  required: TokenRequirement.Requirement | undefined,
  report: (flaw: string) => void
): Entry => {
  const flaws: Array<string> = []
  const note = (flaw: string) => {
    flaws.push(flaw)
    report(flaw)
  }
  const http = HttpCondition.compile(permission.HTTP, note)
  const unknown = permission.UnknownFields ?? []
  for (const field of unknown) note(`the condition ${field} is not known`)
  const condition: HttpCondition.Condition = unknown.length === 0
    ? http
    : (request, reading) => Truth.all(http(request, reading), Truth.Unknown)
  const undecidable = Decision.make(
    false,
    "undecidable",
    rule,
    index,
    flaws.length === 0 ? "the request is not encoded in UTF-8" : flaws.join("; ")
  )
  const own = TokenRequirement.compile(permission.JWT, report)
  if (permission.Action !== "allow" && permission.Action !== "deny") {
    const flaw = `its action ${JSON.stringify(permission.Action)} is not known`
    report(flaw)
    const decision = Decision.make(false, "undecidable", rule, index, flaw)
    return { condition, ruling: () => decision, undecidable }
  }
  return {
    condition,
    ruling: guard(Decision.make(permission.Action === "allow", "permission", rule, index), defaultAllows, [
      demand(rule, undefined, required, defaultAllows),
      demand(rule, index, own, defaultAllows)
    ]),
    undecidable
  }
}

/** A token requirement with the decisions for when it is not fulfilled, or cannot be evaluated. */
interface Demand {
  readonly requirement: TokenRequirement.Requirement
  readonly missing: Decision.Decision
  readonly undecidable: Decision.Decision
}

const demand = (
  rule: Decision.Rule,
  permission: number | undefined,
  requirement: TokenRequirement.Requirement | undefined,
  defaultAllows: boolean
): Demand | undefined =>
  requirement && {
    requirement,
    missing: Decision.make(defaultAllows, "token-missing", rule, permission, requirement.providers),
    undecidable: Decision.make(false, "undecidable", rule, permission, "the token requirement is not understood")
  }

const guard = (
  decision: Decision.Decision,
  defaultAllows: boolean,
  optional: ReadonlyArray<Demand | undefined>
): RequestRuling => {
  const demands = optional.filter((each) => each !== undefined)
  if (decision.allowed === defaultAllows || demands.length === 0) return () => decision
  return (_, tokens) => {
    let refusal: Decision.Decision | undefined
    for (const { missing, requirement, undecidable } of demands) {
      const verdict = requirement.judge(tokens)
      if (verdict === Truth.No) return missing
      if (verdict === Truth.Unknown) refusal ??= undecidable
    }
    return refusal ?? decision
  }
}
