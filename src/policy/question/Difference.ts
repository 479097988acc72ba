/**
 * What one policy allows and another does not, over all callers, destinations and requests: each class of changes with the
 * rules before and after, and a smallest request that shows it.
 */
import { Result } from "effect"
import * as Analysis from "../space/Analysis.ts"
import * as Callers from "../Callers.ts"
import * as Diagram from "../space/Diagram.ts"
import * as Mesh from "../Mesh.ts"
import * as Names from "../Names.ts"
import * as Origin from "../Origin.ts"
import * as Policy from "../Policy.ts"
import type * as Space from "../space/Space.ts"
import * as Witnesses from "../space/Witnesses.ts"

export interface Change {
  readonly newly: "allowed" | "denied"
  readonly callers: ReadonlyArray<string>
  readonly destinations: ReadonlyArray<string>
  readonly before: string
  readonly after: string
  /** The rules that say so; none where the default policy does. */
  readonly rules: { readonly before: Basis | undefined; readonly after: Basis | undefined }
  /** Absent where every request, or every connection, is affected. */
  readonly witness: Analysis.Witness | undefined
  /** Present where it is so under one default policy only, and no source says which one holds. */
  readonly underDefault?: Policy.Policy["defaultPolicy"]
}

export interface Basis {
  readonly source: string
  readonly destination: string
  /** Position, from 0. */
  readonly permission: number | undefined
  readonly origin: Origin.Origin | undefined
}

export interface Undecided {
  readonly callers: ReadonlyArray<string>
  readonly destinations: ReadonlyArray<string>
  readonly why: string
  readonly underDefault?: Policy.Policy["defaultPolicy"]
}

export interface Difference {
  readonly changes: ReadonlyArray<Change>
  readonly undecided: ReadonlyArray<Undecided>
}

interface Pair {
  readonly before: Analysis.Outcome
  readonly after: Analysis.Outcome
}

type Changes =
  | { readonly _tag: "Changes"; readonly pairs: ReadonlyArray<readonly [Pair, Analysis.Witness | undefined]> }
  | { readonly _tag: "Undecided"; readonly why: string }

/**
 * Where no source says which default policy holds, both versions are compared under each; where one of them says it, under
 * that one. Two defaults that both are said are a change like any other.
 */
export const make = (before: Policy.Policy, after: Policy.Policy, budget?: Partial<Space.Budget>): Difference => {
  const versions = [before, after]
  const said = versions.find(({ basis }) => basis.defaultPolicy === "said")
  if (versions.every(({ basis }) => basis.defaultPolicy === "said")) return compareVersions(before, after, budget)
  const under = (defaultPolicy: Policy.Policy["defaultPolicy"]) =>
    compareVersions({ ...before, defaultPolicy }, { ...after, defaultPolicy }, budget)
  return said === undefined ? eitherWay(under("deny"), under("allow")) : under(said.defaultPolicy)
}

/** What differs under both defaults as it is, the rest with the default under which it does. */
const eitherWay = (deny: Difference, allow: Difference): Difference => {
  const both = <A extends object>(denied: ReadonlyArray<A>, allowed: ReadonlyArray<A>): ReadonlyArray<A> => {
    const keys = (list: ReadonlyArray<A>) => new Set(list.map((each) => JSON.stringify(each)))
    const [inDenied, inAllowed] = [keys(denied), keys(allowed)]
    return [
      ...denied.map((each) => inAllowed.has(JSON.stringify(each)) ? each : { ...each, underDefault: "deny" }),
      ...allowed.filter((each) => !inDenied.has(JSON.stringify(each))).map((each) => ({
        ...each,
        underDefault: "allow"
      }))
    ]
  }
  return {
    changes: sort(both(deny.changes, allow.changes)),
    undecided: both(deny.undecided, allow.undecided)
  }
}

const sort = (changes: ReadonlyArray<Change>): ReadonlyArray<Change> =>
  changes.toSorted((a, b) => a.newly < b.newly ? -1 : a.newly > b.newly ? 1 : 0)

const compareVersions = (
  before: Policy.Policy,
  after: Policy.Policy,
  budget?: Partial<Space.Budget>
): Difference => {
  // The paths that one of them can meet, when they do not normalise alike.
  const normalization = JSON.stringify(before.normalization) === JSON.stringify(after.normalization)
    ? after.normalization
    : { InsecureDisablePathNormalization: true }
  const both = [before, after].map((policy) => ({ ...policy, normalization }))
  const [old, fresh] = both.map((policy) => Mesh.make(policy, { budget, beside: both })) as [Mesh.Mesh, Mesh.Mesh]
  const callers = Callers.classes(both)
  const known = new Map<string, Changes>()
  const ids = new Map<string, number>()
  const groups = new Map<
    string,
    { readonly callers: Array<string>; readonly destination: string; readonly make: Group }
  >()
  for (const destination of Policy.destinations(both)) {
    for (const caller of callers) {
      const rulings = [old.ruling(caller, destination), fresh.ruling(caller, destination)] as const
      const key = rulings.map((ruling) => identify(ruling, ids)).join()
      const problem = Mesh.unfit(rulings, caller)
      const changes: Changes = problem === undefined
        ? known.get(key) ?? compare(...rulings, fresh.settings)
        : { _tag: "Undecided", why: problem }
      if (problem === undefined) known.set(key, changes)
      if (changes._tag === "Undecided") {
        join(groups, `${destination.label} undecided ${changes.why}`, caller, destination, {
          _tag: "Undecided",
          why: changes.why
        })
        continue
      }
      for (const [pair, witness] of changes.pairs) {
        if (witness !== undefined) {
          confirm(old, caller, destination, pair.before, witness)
          confirm(fresh, caller, destination, pair.after, witness)
        }
        const change = {
          newly: pair.after.allowed ? "allowed" as const : "denied" as const,
          before: Witnesses.because(pair.before, rulings[0].rule),
          after: Witnesses.because(pair.after, rulings[1].rule),
          rules: {
            before: basisOf(rulings[0], pair.before),
            after: basisOf(rulings[1], pair.after)
          },
          witness
        }
        join(groups, `${destination.label} ${JSON.stringify(change)}`, caller, destination, {
          _tag: "Change",
          ...change
        })
      }
    }
  }
  return collect([...groups.values()])
}

const basisOf = ({ rule }: Analysis.Ruling, { permission }: Analysis.Outcome): Basis | undefined =>
  rule === undefined ? undefined : {
    source: rule.source,
    destination: rule.destination,
    permission,
    origin: Origin.ofRule(rule.intention, permission)
  }

type Group =
  | { readonly _tag: "Undecided"; readonly why: string }
  | ({ readonly _tag: "Change" } & Omit<Change, "callers" | "destinations">)

const join = (
  groups: Map<string, { readonly callers: Array<string>; readonly destination: string; readonly make: Group }>,
  key: string,
  caller: Callers.Caller,
  destination: Policy.Destination,
  make: Group
) => {
  const group = groups.get(key)
  if (group === undefined) groups.set(key, { callers: [caller.label], destination: destination.label, make })
  else group.callers.push(caller.label)
}

/** Destinations where the same happens to the same callers come together. */
const collect = (
  groups: ReadonlyArray<{ readonly callers: ReadonlyArray<string>; readonly destination: string; readonly make: Group }>
): Difference => {
  const joined = new Map<
    string,
    { readonly callers: ReadonlyArray<string>; readonly destinations: Array<string>; readonly make: Group }
  >()
  for (const { callers, destination, make } of groups) {
    const key = JSON.stringify([callers, make])
    const present = joined.get(key)
    if (present === undefined) joined.set(key, { callers, destinations: [destination], make })
    else present.destinations.push(destination)
  }
  const changes: Array<Change> = []
  const undecided: Array<Undecided> = []
  for (const { callers, destinations, make } of joined.values()) {
    if (make._tag === "Undecided") undecided.push({ callers, destinations, why: make.why })
    else {
      const { _tag, ...change } = make
      changes.push({ ...change, callers, destinations })
    }
  }
  return { changes: sort(changes), undecided }
}

/** Rulings that say the same have the same number. */
const identify = (ruling: Analysis.Ruling, ids: Map<string, number>): number => {
  const content = ruling._tag === "Always"
    ? JSON.stringify(ruling.outcome)
    : JSON.stringify([
      ruling.defaultPolicy,
      ruling.rule.intention.Action,
      ruling.rule.intention.Permissions,
      ruling.rule.intention.JWT
    ])
  const id = ids.get(content) ?? ids.size
  ids.set(content, id)
  return id
}

const compare = (before: Analysis.Ruling, after: Analysis.Ruling, settings: Space.Settings): Changes => {
  if (before._tag === "Always" && after._tag === "Always") {
    const pair = { before: before.outcome, after: after.outcome }
    return { _tag: "Changes", pairs: before.outcome.allowed === after.outcome.allowed ? [] : [[pair, undefined]] }
  }
  const found = Analysis.analyse([before, after], [], settings, ({ builder, diagram, witnesses }) => {
    const pairs = new Map<string, Pair>()
    const combined = Diagram.combine(builder, diagram(before), diagram(after), (a, b): Pair | undefined => {
      if (a.allowed === b.allowed) return undefined
      const key = JSON.stringify([a, b])
      const pair = pairs.get(key) ?? { before: a, after: b }
      pairs.set(key, pair)
      return pair
    })
    return [...witnesses(combined)].flatMap(([pair, witness]) => pair === undefined ? [] : [[pair, witness] as const])
  })
  return Result.isSuccess(found)
    ? { _tag: "Changes", pairs: found.success }
    : { _tag: "Undecided", why: found.failure }
}

const confirm = (
  mesh: Mesh.Mesh,
  caller: Callers.Caller,
  destination: Policy.Destination,
  outcome: Analysis.Outcome,
  witness: Analysis.Witness
) => Mesh.confirm(mesh.ask(caller, destination, witness), outcome, witness)

export const newlyAllowed = ({ changes }: Difference): boolean => changes.some(({ newly }) => newly === "allowed")

export const format = ({ changes, undecided }: Difference): string => {
  const lines = changes.flatMap(({ after, before, callers, destinations, newly, underDefault, witness }) => [
    `${newly === "allowed" ? "+ newly allowed" : "- newly denied"}: ${Names.few(callers)} → ${Names.few(destinations)}`,
    ...condition(underDefault),
    `    ${witness === undefined ? "every request" : `for example ${Witnesses.describe(witness)}`}`,
    `    before: ${before}`,
    `    after:  ${after}`
  ])
  const open = undecided.flatMap(({ callers, destinations, underDefault, why }) => [
    `? not decided: ${Names.few(callers)} → ${Names.few(destinations)}`,
    ...condition(underDefault),
    `    ${why}`
  ])
  const total = [...lines, ...open]
  return total.length === 0 ? "Nothing is newly allowed, and nothing newly denied." : total.join("\n")
}

const condition = (underDefault: Change["underDefault"]): ReadonlyArray<string> =>
  underDefault === undefined
    ? []
    : [`    if the default policy is ${underDefault}, which nobody says: give --default-policy`]

export const toJson = ({ changes, undecided }: Difference) => ({
  newlyAllowed: changes.filter(({ newly }) => newly === "allowed").map(changeToJson),
  newlyDenied: changes.filter(({ newly }) => newly === "denied").map(changeToJson),
  undecided
})

const changeToJson = ({ after, before, callers, destinations, rules, underDefault, witness }: Change) => ({
  callers,
  destinations,
  before,
  after,
  rules: Object.fromEntries(
    Object.entries(rules).flatMap(([side, rule]) => rule === undefined ? [] : [[side, basisToJson(rule)]])
  ),
  ...(witness === undefined ? {} : { example: Witnesses.toJson(witness) }),
  ...(underDefault === undefined ? {} : { underDefault })
})

const basisToJson = ({ destination, origin, permission, source }: Basis) => ({
  source,
  destination,
  ...(permission === undefined ? {} : { permissionIndex: permission }),
  ...origin
})
