/** Everything about one destination: who may call it, by which rules, and what is surprising about them. */
import * as Decision from "../../intention/Decision.ts"
import * as Needs from "../../intention/Needs.ts"
import type * as Analysis from "../space/Analysis.ts"
import * as Callers from "../Callers.ts"
import * as Lint from "./Lint.ts"
import * as Matrix from "./Matrix.ts"
import type * as Mesh from "../Mesh.ts"
import * as Policy from "../Policy.ts"
import * as Witnesses from "../space/Witnesses.ts"

export interface Group {
  readonly callers: ReadonlyArray<string>
  readonly cell: Matrix.Cell
}

export interface Explanation {
  readonly destination: Policy.Destination
  readonly protocol: Policy.Protocol
  readonly defaultPolicy: "allow" | "deny"
  /** Callers that the same rule decides about. */
  readonly groups: ReadonlyArray<Group>
  /** What may not be meant as it is written. */
  readonly findings: ReadonlyArray<Lint.Finding>
  /** Of what is known: there is more. */
  readonly incomplete: boolean
  /** What has to stand beside it, in every format. */
  readonly remarks: ReadonlyArray<string>
}

export const make = (
  mesh: Mesh.Mesh,
  destination: Policy.Destination,
  findings: ReadonlyArray<Lint.Finding> = []
): Explanation => {
  const callers = Callers.classes([mesh.policy])
  const groups = new Map<unknown, { readonly callers: Array<string>; readonly cell: Matrix.Cell }>()
  for (const caller of callers) {
    const ruling = mesh.ruling(caller, destination)
    const answer = mesh.answer(caller, destination)
    const key = ruling.rule?.intention
    const group = groups.get(key)
    if (group !== undefined) {
      group.callers.push(caller.label)
      continue
    }
    const verdict = answer._tag === "Undecided" ? "undecided" : answer.verdict
    groups.set(key, { callers: [caller.label], cell: { verdict, ruling, answer } })
  }
  return {
    destination,
    protocol: Policy.protocol(mesh.policy, destination),
    defaultPolicy: mesh.policy.defaultPolicy,
    groups: [...groups.values()],
    findings: findings.filter(({ destinations }) => destinations.includes(destination.label)),
    incomplete: Policy.isIncomplete(mesh.policy),
    remarks: Policy.remarks(mesh.policy)
  }
}

/** One after the other. With several of them, notes are said once, at the end: they would drown the rest. */
export const format = (explanations: ReadonlyArray<Explanation>): string => {
  const several = explanations.length > 1
  const isNote = ({ level }: Lint.Finding) => level === "note"
  const notes = several ? [...new Set(explanations.flatMap(({ findings }) => findings.filter(isNote)))] : []
  return [
    ...new Set(explanations.flatMap(({ remarks }) => remarks)),
    ...explanations.map((explanation) =>
      formatOne({
        ...explanation,
        findings: several ? explanation.findings.filter((each) => !isNote(each)) : explanation.findings
      })
    ),
    ...(notes.length === 0 ? [] : [["Notes:", ...notes.map(line)].join("\n")])
  ].join("\n\n")
}

const formatOne = ({ defaultPolicy, destination, findings, groups, protocol }: Explanation): string =>
  [
    `${destination.label} speaks ${protocol.protocol}; the default policy is ${defaultPolicy}.`,
    ...(groups.some(({ cell }) => cell.ruling._tag === "ByRequest" && isRefusedByConnection(cell.ruling, defaultPolicy))
      ? ["At a server that judges connections (MeshSocketServer) whatever depends on the request is denied."]
      : []),
    ...groups.flatMap(formatGroup),
    ...(findings.length === 0 ? [] : ["", "Worth a look:", ...findings.map(line)])
  ].join("\n")

const line = (finding: Lint.Finding): string => {
  const { level, message, rule, silenced, subject } = Lint.toNotice(finding)
  return `  ! ${level} ${rule}: ${subject}: ${message}${silenced === undefined ? "" : ` [silenced: ${silenced}]`}`
}

/** As in `Authorizer.connection`: under default allow a token guards no allow. */
const isRefusedByConnection = (
  { rule }: Extract<Analysis.Ruling, { _tag: "ByRequest" }>,
  defaultPolicy: "allow" | "deny"
): boolean => rule.action === "permissions" || (rule.action === "allow" && defaultPolicy === "deny")

export const formatGroup = ({ callers, cell }: Group): ReadonlyArray<string> => {
  const { answer, ruling, verdict } = cell
  const heading = `${words[verdict]}: ${callers.join(", ")}`
  if (answer._tag === "Undecided") return ["", heading, `  ${answer.why}`]
  if (ruling._tag === "Always") return ["", heading, `  ${Witnesses.because(ruling.outcome, ruling.rule)}`]
  const { intention } = ruling.rule
  const providers = (intention.JWT?.Providers ?? []).map((provider) => provider.Name)
  const otherwise = [...answer.outcomes].find(([outcome]) => outcome.because === "no-permission")
  return [
    "",
    heading,
    `  by intention ${Decision.formatRule(ruling.rule)}${
      providers.length === 0 ? "" : `, which requires a token of ${providers.join(" or ")}`
    }`,
    ...(intention.Permissions ?? []).map((permission, index) => {
      const reached = [...answer.outcomes].find(([outcome]) =>
        outcome.permission === index && outcome.because === "permission"
      )
      const example = reached === undefined ? "" : ` — for example ${Witnesses.describe(reached[1])}`
      return `  ${index + 1}. ${permission.Action}: ${Needs.describe(permission)}${example}`
    }),
    ...(otherwise === undefined
      ? []
      : [
        `  otherwise the default policy: ${otherwise[0].allowed ? "allow" : "deny"} — for example ${
          Witnesses.describe(otherwise[1])
        }`
      ])
  ]
}

const words: { readonly [V in Matrix.Verdict]: string } = {
  allow: "Allowed",
  deny: "Denied",
  some: "Some requests",
  undecided: "Not decided"
}

export const groupToJson = ({ callers, cell }: Group) => ({ callers, ...Matrix.toReason(cell) })

export const toJson = (
  { defaultPolicy, destination, findings, groups, incomplete, protocol, remarks }: Explanation
) => ({
  destination: destination.label,
  ...(incomplete ? { incomplete } : {}),
  ...(remarks.length === 0 ? {} : { remarks }),
  ...protocol,
  defaultPolicy,
  groups: groups.map(groupToJson),
  findings: findings.map(Lint.toJson)
})
