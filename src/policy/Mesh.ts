/**
 * A policy, ready for questions: what decides about each caller at each destination, and what it decides, exactly, over all
 * requests. Answers are computed once for each intention and shared by all callers that it decides about. Each witness has been
 * put to the `Authorizer` before it is handed out; one that it judges differently is a bug, and throws.
 */
import { Result } from "effect"
import type * as SpiffeId from "../identity/SpiffeId.ts"
import * as SpiffeIds from "../identity/SpiffeId.ts"
import * as Authorizer from "../intention/Authorizer.ts"
import * as Decision from "../intention/Decision.ts"
import type * as HttpRequest from "../intention/HttpRequest.ts"
import * as Analysis from "./space/Analysis.ts"
import type * as Callers from "./Callers.ts"
import type * as Dimension from "./space/Dimension.ts"
import * as Diagram from "./space/Diagram.ts"
import * as Names from "./Names.ts"
import * as Policy from "./Policy.ts"
import * as Space from "./space/Space.ts"
import * as Witnesses from "./space/Witnesses.ts"

/** What a caller may do at a destination. */
export type Answer =
  | {
    readonly _tag: "Decided"
    readonly verdict: "allow" | "deny" | "some"
    /** Everything that can happen to a request, each with a smallest one. Constant rulings have no need of one. */
    readonly outcomes: ReadonlyMap<Analysis.Outcome, Analysis.Witness>
  }
  | { readonly _tag: "Undecided"; readonly why: string }

export interface Mesh {
  readonly policy: Policy.Policy
  readonly settings: Space.Settings
  readonly authorizer: (destination: Names.Name) => Authorizer.Authorizer
  readonly ruling: (caller: Callers.Caller, destination: Names.Name) => Analysis.Ruling
  readonly answer: (caller: Callers.Caller, destination: Names.Name) => Answer
  /** Asks the `Authorizer` itself. */
  readonly ask: (caller: Callers.Caller, destination: Names.Name, witness: Analysis.Witness) => Decision.Decision
}

export const make = (policy: Policy.Policy, options?: {
  readonly budget?: Partial<Space.Budget> | undefined
  /** Policies that this one is held against: their peers count as known here too. */
  readonly beside?: ReadonlyArray<Policy.Policy> | undefined
}): Mesh => {
  const settings: Space.Settings = {
    normalization: policy.normalization,
    budget: { ...Space.defaultBudget, ...options?.budget },
    lines: "several"
  }
  const peers = Policy.peers([policy, ...options?.beside ?? []])
  const authorizers = new Map<string, Authorizer.Authorizer>()
  const authorizer = (destination: Names.Name): Authorizer.Authorizer => {
    const key = Names.display(destination)
    const present = authorizers.get(key)
    if (present !== undefined) return present
    const made = Policy.authorizer(policy, destination, peers)
    authorizers.set(key, made)
    return made
  }
  const ruling: Mesh["ruling"] = (caller, destination) => {
    const { connection, http } = authorizer(destination)
    return toRuling(connection(caller.id), http, policy.defaultPolicy)
  }
  const ask: Mesh["ask"] = (caller, destination, witness) => {
    const { http, request } = authorizer(destination)
    return http && caller.peer !== undefined
      ? request(gateway, forwarded(caller.id, Witnesses.toRequest(witness)), Witnesses.toTokens(witness))
      : request(caller.id, Witnesses.toRequest(witness), Witnesses.toTokens(witness))
  }
  const answers = new Map<unknown, Answer>()
  const answer: Mesh["answer"] = (caller, destination) => {
    const decides = ruling(caller, destination)
    const problem = unfit([decides], caller)
    if (problem !== undefined) return { _tag: "Undecided", why: problem }
    const key = decides._tag === "Always" ? decides.outcome : decides.rule.intention
    const present = answers.get(key)
    if (present !== undefined) return present
    const made = decide(decides, settings)
    if (made._tag === "Decided" && decides._tag === "ByRequest") {
      for (const [outcome, witness] of made.outcomes) confirm(ask(caller, destination, witness), outcome, witness)
    }
    answers.set(key, made)
    return made
  }
  return { policy, settings, authorizer, ruling, answer, ask }
}

/** Callers of peers come through the mesh gateway, which names them in this header. */
const gateway: SpiffeId.MeshGateway = {
  _tag: "MeshGateway",
  trustDomain: Policy.trustDomain,
  partition: "default",
  datacenter: "dc1"
}

const forwardedHeader = "x-forwarded-client-cert"

const forwarded = (id: SpiffeId.Service, request: HttpRequest.HttpRequest): HttpRequest.HttpRequest => ({
  ...request,
  header: (name) => name === forwardedHeader ? `URI=${SpiffeIds.format(id)}` : request.header(name),
  lines: (name) => name === forwardedHeader ? undefined : request.lines(name)
})

/** Without permissions and tokens there is nothing about a request that matters. */
const toRuling = (
  decision: Decision.Decision,
  http: boolean,
  defaultPolicy: Authorizer.DefaultPolicy
): Analysis.Ruling => {
  const { allowed, because, by, permission } = decision
  const byRequest = http && by !== undefined && because !== "undecidable" &&
    (by.action === "permissions" || by.intention.JWT !== undefined)
  return byRequest
    ? { _tag: "ByRequest", rule: by, defaultPolicy }
    : { _tag: "Always", rule: by, outcome: Analysis.outcome(allowed, because, permission) }
}

/** Why requests of this caller can not be analysed under these rulings, if so. */
export const unfit = (rulings: ReadonlyArray<Analysis.Ruling>, caller: Callers.Caller): string | undefined =>
  caller.peer !== undefined && rulings.some((ruling) =>
      ruling._tag === "ByRequest" &&
      (ruling.rule.intention.Permissions ?? []).some((permission) =>
        (permission.HTTP?.Header ?? []).some((header) => header.Name.toLowerCase() === forwardedHeader)
      )
    )
    ? `a condition looks at ${forwardedHeader}, by which the gateway names callers of peers`
    : undefined

const decide = (ruling: Analysis.Ruling, settings: Space.Settings): Answer => {
  const found = outcomesOf(ruling, settings)
  if (Result.isSuccess(found)) return decided(found.success)
  // Several lines can only add refusals: where something is refused already, they are not needed for the verdict.
  const single = outcomesOf(ruling, { ...settings, lines: "one" })
  const answer = Result.isSuccess(single) ? decided(single.success) : undefined
  return answer?._tag === "Decided" && answer.verdict !== "allow"
    ? answer
    : { _tag: "Undecided", why: found.failure }
}

const outcomesOf = (ruling: Analysis.Ruling, settings: Space.Settings) =>
  Analysis.analyse([ruling], [], settings, ({ diagram, witnesses }) => witnesses(diagram(ruling)))

const decided = (outcomes: ReadonlyMap<Analysis.Outcome, Analysis.Witness>): Answer => {
  const verdicts = new Set([...outcomes.keys()].map((outcome) => outcome.allowed))
  return {
    _tag: "Decided",
    verdict: verdicts.size === 2 ? "some" : verdicts.has(true) ? "allow" : "deny",
    outcomes
  }
}

/** Throws where the `Authorizer` does not decide as the analysis does: then the analysis is worth nothing. */
export const confirm = (
  { allowed, because, by, permission }: Decision.Decision,
  outcome: Analysis.Outcome,
  witness: Analysis.Witness
): void => {
  if (allowed === outcome.allowed && because === outcome.because && permission === outcome.permission) return
  throw new Error(
    `the analysis says ${JSON.stringify(outcome)} of ${Witnesses.describe(witness)}, and the Authorizer ${
      JSON.stringify({ allowed, because, permission, by: by && Decision.formatRule(by) })
    }`
  )
}

/** The atoms of a request in a space, for looking it up in a diagram. `undefined` when it is no request of this space. */
export const locate = (
  space: Space.Space,
  request: HttpRequest.HttpRequest,
  hasToken: (provider: string, atoms: ReadonlyArray<Dimension.Value>) => number
): ReadonlyArray<number> | undefined => {
  const atoms: Array<number> = []
  const cut = request.path.split("?")[0]!
  for (const { find, kind, name, values } of space.dimensions) {
    const atom = kind === "method"
      ? find(request.method)
      : kind === "path"
      ? find(request.path) ?? find(cut)
      : kind === "header"
      ? find(request.header(name), request.lines(name))
      : hasToken(name, values)
    if (atom === undefined) return undefined
    atoms.push(atom)
  }
  return atoms
}

export const lookUp = <L>(diagram: Diagram.Diagram<L>, atoms: ReadonlyArray<number>): L =>
  Diagram.find(diagram, (level) => atoms[level]!)
