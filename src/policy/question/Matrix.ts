/** Who can reach whom: every class of callers against every destination. */
import * as Decision from "../../intention/Decision.ts"
import * as Needs from "../../intention/Needs.ts"
import type * as Analysis from "../space/Analysis.ts"
import * as Callers from "../Callers.ts"
import * as Mesh from "../Mesh.ts"
import * as Names from "../Names.ts"
import * as Policy from "../Policy.ts"
import * as Witnesses from "../space/Witnesses.ts"

export type Verdict = "allow" | "deny" | "some" | "undecided"

export interface Cell {
  readonly verdict: Verdict
  readonly ruling: Analysis.Ruling
  readonly answer: Mesh.Answer
}

export interface Matrix {
  readonly callers: ReadonlyArray<Callers.Caller>
  readonly destinations: ReadonlyArray<Policy.Destination>
  /** One row for each caller. */
  readonly rows: ReadonlyArray<ReadonlyArray<Cell>>
  /** Of what is known: there is more. */
  readonly incomplete: boolean
  /** What has to stand beside it, in every format. */
  readonly remarks: ReadonlyArray<string>
}

export const make = (mesh: Mesh.Mesh): Matrix => {
  const callers = Callers.classes([mesh.policy])
  const destinations = Policy.destinations([mesh.policy])
  return {
    callers,
    destinations,
    incomplete: Policy.isIncomplete(mesh.policy),
    remarks: Policy.remarks(mesh.policy),
    rows: callers.map((caller) =>
      destinations.map((destination) => {
        const answer = mesh.answer(caller, destination)
        return {
          verdict: answer._tag === "Undecided" ? "undecided" : answer.verdict,
          ruling: mesh.ruling(caller, destination),
          answer
        }
      })
    )
  }
}

export const counts = ({ rows }: Matrix): { readonly [V in Verdict]: number } => {
  const result = { allow: 0, deny: 0, some: 0, undecided: 0 }
  for (const { verdict } of rows.flat()) result[verdict]++
  return result
}

/** Plain JSON. Cells name their reason by position in `reasons`, because many share one. */
export const toJson = (matrix: Matrix) => {
  const reasons: Array<Reason> = []
  const positions = new Map<string, number>()
  const rows = matrix.rows.map((row) =>
    row.map((cell) => {
      const reason = toReason(cell)
      const key = JSON.stringify(reason)
      const at = positions.get(key) ?? reasons.push(reason) - 1
      positions.set(key, at)
      return at
    })
  )
  return {
    callers: matrix.callers.map(({ label, other, peer }) => ({
      name: label,
      other,
      ...(peer === undefined ? {} : { peer })
    })),
    destinations: matrix.destinations.map(({ label, other }) => ({ name: label, other })),
    ...(matrix.incomplete ? { incomplete: true } : {}),
    ...(matrix.remarks.length === 0 ? {} : { remarks: matrix.remarks }),
    reasons,
    /** `rows[caller][destination]` is a position in `reasons`. */
    rows
  }
}

export interface Reason {
  readonly verdict: Verdict
  /** The intention that decides, or none for the default policy. */
  readonly rule?: string
  readonly because: string
  readonly permissions?: ReadonlyArray<string>
  /** A smallest request for each thing that can happen. */
  readonly examples?: ReadonlyArray<{ readonly allowed: boolean; readonly request: string; readonly because: string }>
}

export const toReason = ({ answer, ruling, verdict }: Cell): Reason => {
  const rule = ruling.rule === undefined ? {} : { rule: Decision.formatRule(ruling.rule) }
  if (answer._tag === "Undecided") return { verdict, ...rule, because: `not decided: ${answer.why}` }
  if (ruling._tag === "Always") return { verdict, ...rule, because: Witnesses.because(ruling.outcome, ruling.rule) }
  return {
    verdict,
    ...rule,
    because: "it depends on the request",
    permissions: (ruling.rule.intention.Permissions ?? []).map((permission) =>
      `${permission.Action}: ${Needs.describe(permission)}`
    ),
    examples: [...answer.outcomes].map(([outcome, witness]) => ({
      allowed: outcome.allowed,
      request: Witnesses.describe(witness),
      because: Witnesses.because(outcome, ruling.rule)
    }))
  }
}

/** Only these callers and destinations, where any are named. Patterns of callers are those of statements. */
export const only = (
  matrix: Matrix,
  from: ReadonlyArray<string>,
  to: ReadonlyArray<string>
): Matrix => {
  const callers = positions(
    matrix.callers,
    (caller) => from.length === 0 || from.some((pattern) => Callers.covers(pattern, caller))
  )
  const destinations = positions(
    matrix.destinations,
    (destination) => to.length === 0 || to.some((pattern) => isNamed(pattern, destination))
  )
  return {
    ...matrix,
    callers: callers.map((i) => matrix.callers[i]!),
    destinations: destinations.map((i) => matrix.destinations[i]!),
    rows: callers.map((row) => destinations.map((column) => matrix.rows[row]![column]!))
  }
}

export const isNamed = (pattern: string, destination: Policy.Destination): boolean =>
  pattern === "*" || Names.fold(pattern) === Names.fold(destination.label)

const positions = <A>(list: ReadonlyArray<A>, wanted: (each: A) => boolean): ReadonlyArray<number> =>
  list.flatMap((each, i) => wanted(each) ? [i] : [])
