/**
 * Statements about a policy, each proved over all callers and requests or refuted by one of them.
 *
 * - `never`: none of these callers reaches these destinations, with any of these requests
 * - `always`: each of these callers does, with all of them
 * - `only`: these callers may, and no others
 * - `implies`: whatever is allowed at the first destination is allowed at the second
 * - `equivalent`: and the other way round
 */
import { Result } from "effect"
import * as Decision from "../../intention/Decision.ts"
import * as Analysis from "../space/Analysis.ts"
import * as Callers from "../Callers.ts"
import * as Diagram from "../space/Diagram.ts"
import * as Mesh from "../Mesh.ts"
import * as Names from "../Names.ts"
import * as Nearest from "../Nearest.ts"
import * as Origin from "../Origin.ts"
import * as Policy from "../Policy.ts"
import * as Statement from "./Statement.ts"
import * as Witnesses from "../space/Witnesses.ts"

export const Assertion = Statement.Statement
export type Assertion = typeof Assertion.Type
type Reach = Statement.Reach

export type Verdict =
  | { readonly _tag: "Proved" }
  | {
    readonly _tag: "Refuted"
    readonly why: string
    readonly counterexample: Counterexample
    readonly decision: Decision.Decision
  }
  | { readonly _tag: "Undecided"; readonly why: string }
  /** The statement makes no sense here. */
  | { readonly _tag: "Invalid"; readonly why: string }

export interface Counterexample {
  readonly caller: string
  readonly destination: string
  readonly request: Analysis.Witness
}

export interface Finding {
  readonly name: string
  readonly verdict: Verdict
  /** Where the statement is written. */
  readonly origin?: Origin.Origin | undefined
}

export const verify = (mesh: Mesh.Mesh, assertion: Assertion): Finding => ({
  name: assertion.name ?? statement(assertion),
  verdict: judge(mesh, assertion),
  origin: Origin.of(assertion)
})

/** Proved only where it is under each of these: the same policy under each default that may hold. */
export const verifyUnderEach = (meshes: ReadonlyArray<Mesh.Mesh>, assertion: Assertion): Finding => {
  const findings = meshes.map((mesh) => ({ mesh, ...verify(mesh, assertion) }))
  const worst = findings.find(({ verdict }) => verdict._tag === "Refuted") ??
    findings.find(({ verdict }) => verdict._tag !== "Proved") ?? findings[0]!
  const { mesh, verdict, ...statement } = worst
  return verdict._tag === "Proved" || findings.every((each) => each.verdict._tag === verdict._tag)
    ? { ...statement, verdict }
    : {
      ...statement,
      verdict: {
        ...verdict,
        why:
          `if the default policy is ${mesh.policy.defaultPolicy}, which nobody says (--default-policy would): ${verdict.why}`
      }
    }
}

export const statement = (assertion: Assertion): string => {
  const kind = Statement.kinds.find((kind) => assertion[kind] !== undefined)
  return kind === undefined ? "says nothing" : `${kind} ${JSON.stringify(assertion[kind])}`
}

const judge = (mesh: Mesh.Mesh, assertion: Assertion): Verdict => {
  const given = Statement.kinds.filter((kind) => assertion[kind] !== undefined)
  if (given.length !== 1) {
    return invalid(
      given.length === 0
        ? `it says nothing: give one of ${Statement.kinds.join(", ")}`
        : `it says ${given.join(" and ")}: make it two`
    )
  }
  try {
    if (assertion.never !== undefined) return forEach(mesh, assertion.never, "never")
    if (assertion.always !== undefined) return forEach(mesh, assertion.always, "always")
    if (assertion.only !== undefined) {
      const { except, from, ...rest } = assertion.only
      if (from === undefined || except !== undefined) return invalid("`only` takes `from`, and no `except`")
      return forEach(mesh, { ...rest, from: "*", except: from }, "never")
    }
    if (assertion.implies !== undefined) {
      return implication(mesh, assertion.implies, assertion.implies.if, assertion.implies.then)
    }
    const { equivalent } = assertion
    if (equivalent === undefined) return proved
    const [first, second] = equivalent.to
    const forth = implication(mesh, equivalent, first, second)
    return forth._tag === "Proved" ? implication(mesh, equivalent, second, first) : forth
  } catch (error) {
    if (error instanceof Unknown) return invalid(error.message)
    throw error
  }
}

const proved: Verdict = { _tag: "Proved" }
const invalid = (why: string): Verdict => ({ _tag: "Invalid", why })

/** A name that matches nothing: such a statement would be true for the wrong reason. */
class Unknown extends Error {}

const list = (names: string | ReadonlyArray<string> | undefined): ReadonlyArray<string> =>
  names === undefined ? [] : typeof names === "string" ? [names] : names

type Scope = Omit<Reach, "to">

const callersOf = (mesh: Mesh.Mesh, { except, from = "*" }: Scope): ReadonlyArray<Callers.Caller> => {
  const all = Callers.classes([mesh.policy])
  const matching = (patterns: ReadonlyArray<string>) =>
    patterns.flatMap((pattern) => {
      const found = all.filter((caller) => Callers.covers(pattern, caller))
      if (found.length === 0) {
        throw new Unknown(
          `no caller is named ${pattern}: add it to the known services, or correct it${
            Nearest.ask(pattern, all.map(({ label }) => label))
          }`
        )
      }
      return found
    })
  const excluded = new Set(matching(list(except)))
  return [...new Set(matching(list(from)))].filter((caller) => !excluded.has(caller))
}

const destinationsOf = (mesh: Mesh.Mesh, to: string | ReadonlyArray<string>): ReadonlyArray<Policy.Destination> => {
  const all = Policy.destinations([mesh.policy])
  return list(to).flatMap((pattern) => {
    const found = pattern === "*" ? all : all.filter((each) => !each.other && Names.same(each, Names.parse(pattern)))
    if (found.length === 0) {
      throw new Unknown(
        `no destination is named ${pattern}: add it to the known services, or correct it${
          Nearest.ask(pattern, all.map(({ label }) => label))
        }`
      )
    }
    return found
  })
}

const regionOf = ({ tokens, when }: Scope): Analysis.Region => ({ http: when, tokens })

/** The first caller and destination that refute it, or what could not be decided if none does. */
const forEach = (mesh: Mesh.Mesh, reach: Reach, law: "never" | "always"): Verdict => {
  const region = regionOf(reach)
  const known = new Map<unknown, Result.Result<Analysis.Witness | undefined, string>>()
  let open: Verdict = proved
  for (const destination of destinationsOf(mesh, reach.to)) {
    for (const caller of callersOf(mesh, reach)) {
      const ruling = mesh.ruling(caller, destination)
      const key = ruling._tag === "Always" ? ruling.outcome : ruling.rule.intention
      const unfit = Mesh.unfit([ruling], caller)
      const found = unfit === undefined
        ? known.get(key) ??
          counterexample(mesh, [ruling], region, law, ([outcome]) => outcome!.allowed === (law === "never"))
        : Result.fail(unfit)
      if (unfit === undefined) known.set(key, found)
      if (Result.isFailure(found)) open = undecided(found.failure, caller, destination)
      else if (found.success !== undefined) {
        const decision = mesh.ask(caller, destination, found.success)
        expect(decision, law === "never")
        return {
          _tag: "Refuted",
          why: `${describe(caller, destination, found.success)}: ${Decision.explain(decision)}`,
          counterexample: { caller: caller.label, destination: destination.label, request: found.success },
          decision
        }
      }
    }
  }
  return open
}

const implication = (mesh: Mesh.Mesh, scope: Scope, premise: string, conclusion: string): Verdict => {
  const [first] = destinationsOf(mesh, premise)
  const [second] = destinationsOf(mesh, conclusion)
  if (first === undefined || second === undefined) return invalid("it names no destination")
  let open: Verdict = proved
  for (const caller of callersOf(mesh, scope)) {
    const rulings = [mesh.ruling(caller, first), mesh.ruling(caller, second)]
    const unfit = Mesh.unfit(rulings, caller)
    const found = unfit === undefined
      ? counterexample(mesh, rulings, regionOf(scope), "implies", ([a, b]) => a!.allowed && !b!.allowed)
      : Result.fail(unfit)
    if (Result.isFailure(found)) open = undecided(found.failure, caller, first)
    else if (found.success !== undefined) {
      const allowed = mesh.ask(caller, first, found.success)
      const refused = mesh.ask(caller, second, found.success)
      expect(allowed, true)
      expect(refused, false)
      return {
        _tag: "Refuted",
        why: `${describe(caller, first, found.success)}: ${Decision.explain(allowed)}; at ${second.label} ${
          Decision.explain(refused)
        }`,
        counterexample: { caller: caller.label, destination: second.label, request: found.success },
        decision: refused
      }
    }
  }
  return open
}

/**
 * A smallest request of the region whose outcomes under these rulings are as described. With several lines of a header it is of
 * the region for `always` if both readings say so, and else if either does.
 */
const counterexample = (
  mesh: Mesh.Mesh,
  rulings: ReadonlyArray<Analysis.Ruling>,
  region: Analysis.Region,
  law: "never" | "always" | "implies",
  refutes: (outcomes: ReadonlyArray<Analysis.Outcome>) => boolean
): Result.Result<Analysis.Witness | undefined, string> =>
  // What is allowed with several lines is allowed with them joined, so that one line is enough to look for what is.
  Analysis.analyse(rulings, [region], {
    ...mesh.settings,
    lines: law === "never" && region.http?.Header === undefined ? "one" : "several"
  }, (analysis) => {
    const none: ReadonlyArray<Analysis.Outcome> = []
    const joined = rulings.reduce<Diagram.Diagram<ReadonlyArray<Analysis.Outcome>>>(
      (joined, ruling) =>
        Diagram.combine(analysis.builder, joined, analysis.diagram(ruling), (all, outcome) => [...all, outcome]),
      analysis.builder.leaf(none)
    )
    const hits = Diagram.combine(
      analysis.builder,
      analysis.region(region, law === "always" ? "both" : "either"),
      joined,
      (inside, outcomes) => inside && refutes(outcomes)
    )
    return analysis.witnesses(hits).get(true)
  })

const undecided = (why: string, caller: Callers.Caller, destination: Policy.Destination): Verdict => ({
  _tag: "Undecided",
  why: `${caller.label} → ${destination.label}: ${why}`
})

const describe = (caller: Callers.Caller, destination: Policy.Destination, witness: Analysis.Witness): string =>
  `${caller.label} → ${destination.label} with ${Witnesses.describe(witness)}`

const expect = (decision: Decision.Decision, allowed: boolean) => {
  if (decision.allowed !== allowed) {
    throw new Error(
      `the analysis says ${allowed ? "allowed" : "denied"}, and the Authorizer: ${Decision.explain(decision)}`
    )
  }
}
