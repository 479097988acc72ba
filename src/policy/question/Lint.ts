/**
 * "Worth a look", as rules with levels: what a policy says that its author may not have meant, over all destinations. What is true
 * at many destinations is said once. A finding can be silenced, with a reason; a silencing that nothing needs is a finding too.
 */
import * as Decision from "../../intention/Decision.ts"
import type * as Analysis from "../space/Analysis.ts"
import * as Callers from "../Callers.ts"
import type * as Mesh from "../Mesh.ts"
import * as Names from "../Names.ts"
import type * as Notice from "../Notice.ts"
import * as Origin from "../Origin.ts"
import * as Policy from "../Policy.ts"
import * as Surprises from "./Surprises.ts"
import * as Witnesses from "../space/Witnesses.ts"

/** `outranked`: shadowed at some destinations, and not everywhere: what wildcards are for. */
export type RuleId = Surprises.Surprise["kind"] | "outranked" | "unused-silence"

/** `off` is not even looked at. */
export type Level = Notice.Level | "off"

export interface Silence {
  readonly rule: RuleId
  /** The intention, by its names; absent: whichever. For findings about no intention, `destination` is where they are found. */
  readonly source?: string | undefined
  readonly destination?: string | undefined
  /** From 1. */
  readonly permission?: number | undefined
  readonly reason: string
}

export interface Config {
  readonly levels: { readonly [R in RuleId]?: Level | undefined }
  readonly silences: ReadonlyArray<Silence>
}

export const none: Config = { levels: {}, silences: [] }

export interface Finding {
  readonly rule: RuleId
  readonly level: Notice.Level
  /** Where it is found. */
  readonly destinations: ReadonlyArray<string>
  /** The intention that it is about. */
  readonly about: Decision.Rule | undefined
  /** Position, from 0. */
  readonly permission: number | undefined
  readonly message: string
  readonly witness: Analysis.Witness | undefined
  readonly origin: Origin.Origin | undefined
  /** The reason that is given for not hearing it. */
  readonly silenced: string | undefined
}

/** Of these destinations, or of all. Only with all of them it can be told that a silencing is not needed. */
export const run = (
  mesh: Mesh.Mesh,
  config: Config = none,
  destinations?: ReadonlyArray<Policy.Destination>
): ReadonlyArray<Finding> => {
  const callers = Callers.classes([mesh.policy])
  const used = new Set<Silence>()
  const findings: Array<Finding> = []
  const everywhere = Policy.destinations([mesh.policy])
  for (const { found, surprise } of group(mesh, callers, destinations ?? everywhere)) {
    const rule = surprise.kind === "shadowed" && decidesSomewhere(mesh, callers, everywhere, surprise.rule)
      ? "outranked"
      : surprise.kind
    const about: Omit<Finding, "level" | "silenced"> = {
      rule,
      destinations: found,
      about: surprise.rule,
      permission: surprise.permission,
      message: surprise.message,
      witness: surprise.witness,
      origin: Origin.ofRule(surprise.rule?.intention, surprise.permission)
    }
    const silences = config.silences.filter((silence) => covers(silence, about))
    for (const silence of silences) used.add(silence)
    const level = levelOf(rule, config)
    if (level !== "off") findings.push({ ...about, level, silenced: silences[0]?.reason })
  }
  const unused = levelOf("unused-silence", config)
  if (destinations === undefined && unused !== "off") {
    for (const silence of config.silences.filter((each) => !used.has(each))) {
      findings.push({
        rule: "unused-silence",
        level: unused,
        destinations: [],
        about: undefined,
        permission: undefined,
        message: `${describe(silence)} is silenced, and is not found: remove the silencing, or correct it`,
        witness: undefined,
        origin: Origin.of(silence),
        silenced: undefined
      })
    }
  }
  return findings
}

/** Under each default policy that may hold; what is found under one of them only says so. */
export const runUnderEach = (meshes: ReadonlyArray<Mesh.Mesh>, config: Config = none): ReadonlyArray<Finding> => {
  const [first, second] = meshes
  if (first === undefined || second === undefined) return meshes.flatMap((mesh) => run(mesh, config))
  const key = (finding: Finding) => JSON.stringify(toJson(finding))
  const found = [first, second].map((mesh) => ({ mesh, findings: run(mesh, config) })) as [Run, Run]
  const keys = found.map(({ findings }) => new Set(findings.map(key))) as [Set<string>, Set<string>]
  const only = ({ mesh }: Run) => (finding: Finding): Finding => ({
    ...finding,
    message: `if the default policy is ${mesh.policy.defaultPolicy}: ${finding.message}`
  })
  // A silencing that is needed under either of them is needed.
  const isExtra = (finding: Finding, other: Set<string>) =>
    finding.rule !== "unused-silence" && !other.has(key(finding))
  return [
    ...found[0].findings.filter((each) => keys[1].has(key(each))),
    ...found[0].findings.filter((each) => isExtra(each, keys[1])).map(only(found[0])),
    ...found[1].findings.filter((each) => isExtra(each, keys[0])).map(only(found[1]))
  ]
}

interface Run {
  readonly mesh: Mesh.Mesh
  readonly findings: ReadonlyArray<Finding>
}

interface Group {
  readonly surprise: Surprises.Surprise
  readonly found: Array<string>
}

/** What is said in the same words of the same intention at many destinations. */
const group = (
  mesh: Mesh.Mesh,
  callers: ReadonlyArray<Callers.Caller>,
  destinations: ReadonlyArray<Policy.Destination>
): ReadonlyArray<Group> => {
  const groups = new Map<string, Group>()
  for (const destination of destinations) {
    for (const surprise of Surprises.find(mesh, destination, callers)) {
      const { kind, message, permission, rule, witness } = surprise
      const key = JSON.stringify([
        kind,
        rule === undefined ? destination.label : Decision.formatRule(rule),
        permission,
        message,
        witness
      ])
      const present = groups.get(key)
      if (present === undefined) groups.set(key, { surprise, found: [destination.label] })
      else present.found.push(destination.label)
    }
  }
  return [...groups.values()]
}

const decidesSomewhere = (
  mesh: Mesh.Mesh,
  callers: ReadonlyArray<Callers.Caller>,
  destinations: ReadonlyArray<Policy.Destination>,
  rule: Decision.Rule | undefined
): boolean =>
  rule !== undefined &&
  destinations.some((destination) =>
    mesh.authorizer(destination).intentions.includes(rule.intention) &&
    callers.some((caller) => mesh.ruling(caller, destination).rule?.intention === rule.intention)
  )

const levelOf = (rule: RuleId, { levels }: Config): Level =>
  levels[rule] ?? rules.find(({ id }) => id === rule)?.level ?? "warning"

const covers = (silence: Silence, { about, destinations, permission, rule }: Omit<Finding, "level" | "silenced">) =>
  silence.rule === rule &&
  (silence.permission === undefined || silence.permission - 1 === permission) &&
  (silence.source === undefined || silence.source === about?.source) &&
  (silence.destination === undefined || (about === undefined
    ? destinations.every((each) => Names.fold(each) === Names.fold(silence.destination!))
    : Names.fold(about.destination) === Names.fold(silence.destination)))

const describe = ({ destination, permission, rule, source }: Silence): string =>
  `${rule}${permission === undefined ? "" : ` of permission ${permission}`}${
    source === undefined && destination === undefined ? "" : ` of ${source ?? "any"} → ${destination ?? "any"}`
  }`

/** Whether the build should fail. */
export const fails = (findings: ReadonlyArray<Finding>): boolean =>
  findings.some(({ level, silenced }) => level === "error" && silenced === undefined)

export const toNotice = (finding: Finding): Notice.Notice => {
  const { about, destinations, level, origin, permission, rule, silenced } = finding
  const name = about === undefined ? Names.few(destinations) : `${about.source} → ${about.destination}`
  return {
    rule,
    level,
    message: sentence(finding),
    origin,
    subject: name === "" ? rule : permission === undefined ? name : `permission ${permission + 1} of ${name}`,
    related: [],
    silenced
  }
}

/** The message, with what shows it and where it is true. */
export const sentence = ({ destinations, message, rule, witness }: Finding): string =>
  rule === "outranked"
    ? `does not decide at ${Names.few(destinations)}: for every caller another one outranks it there`
    : `${message}${witness === undefined ? "" : ` (${Witnesses.describe(witness)})`}`

export const toJson = (
  { about, destinations, level, message, origin, permission, rule, silenced, witness }: Finding
) => ({
  rule,
  level,
  message,
  destinations,
  ...(about === undefined
    ? {}
    : { intention: { source: about.source, destination: about.destination, precedence: about.precedence } }),
  ...(permission === undefined ? {} : { permissionIndex: permission }),
  ...(witness === undefined ? {} : { example: Witnesses.toJson(witness) }),
  ...origin,
  ...(silenced === undefined ? {} : { silenced })
})

export const rules: ReadonlyArray<Notice.Rule & { readonly id: RuleId }> = [
  {
    id: "restricts-nothing",
    level: "error",
    summary: "Permissions that let every request through",
    help:
      "Under the default policy allow, a list of what is allowed closes nothing. Add a permission that denies the rest."
  },
  {
    id: "allows-nothing",
    level: "warning",
    summary: "Permissions that let no request through",
    help:
      "Under the default policy deny, a list of what is denied opens nothing. Add a permission that allows the rest."
  },
  {
    id: "no-boundary",
    level: "warning",
    summary: "A path prefix that ends within a segment",
    help: "The prefix /v1 covers /v10 too. Write /v1/, and PathExact /v1 beside it."
  },
  {
    id: "wide-denial",
    level: "note",
    summary: "A denial whose path prefix ends within a segment",
    help:
      "The prefix /admin denies /administration too. Write /admin/, and PathExact /admin beside it, if that is too much."
  },
  {
    id: "absent-header",
    level: "warning",
    summary: "A denial that a request without the header gets around",
    help: "An absent header fulfils no matcher but an inverted Present. Deny requests that lack the header too."
  },
  {
    id: "way-around",
    level: "warning",
    summary: "A denied path that another spelling gets around",
    help:
      "Allow the paths that are meant, rather than deny some. MergeSlashes and PathWithEscapedSlashesAction in the mesh entry " +
      "take away // and %2F; letter case, `;` and the rest need an expression, or a server that does not take them for the same."
  },
  {
    id: "envoy-differs",
    level: "warning",
    summary: "Consul's Envoy sidecars decide otherwise than precedence says",
    help: "Give these callers an intention of their own for this destination: both decide alike then."
  },
  {
    id: "shadowed",
    level: "warning",
    summary: "An intention that never decides",
    help: "Others outrank it for every caller, wherever it could decide. Remove it, or those that stand in its way."
  },
  {
    id: "outranked",
    level: "note",
    summary: "A wildcard that does not decide at some destinations",
    help: "That is how wildcards are used. Make sure that the intentions which outrank it say what is meant."
  },
  {
    id: "unreachable",
    level: "warning",
    summary: "A permission that never decides",
    help: "Earlier permissions decide about all of its requests, or it has none. Move it up, correct it, or remove it."
  },
  {
    id: "token-unused",
    level: "error",
    summary: "A token is required, and guards nothing",
    help: "Tokens guard verdicts that depart from the default policy. Use the default policy deny."
  },
  {
    id: "needs-http",
    level: "error",
    summary: "Permissions at a service that does not speak HTTP",
    help: "Such an intention denies everybody. Set the protocol in service-defaults, or remove the permissions."
  },
  {
    id: "needs-requests",
    level: "note",
    summary: "A required token, which servers that judge connections can not look for",
    help: "Serve it where requests are judged: MeshHttpServer, or a sidecar. MeshSocketServer refuses there."
  },
  {
    id: "assumed-protocol",
    level: "note",
    summary: "Nothing says which protocol a service speaks",
    help: "Write a service-defaults entry with its protocol, or give --protocol."
  },
  {
    id: "not-understood",
    level: "error",
    summary: "Something that can not be judged, and allows nobody",
    help: "Correct it. Until then it denies what it leaves in doubt."
  },
  {
    id: "not-decided",
    level: "warning",
    summary: "Too much to look through",
    help: "Write the conditions simpler: nothing is said about this intention."
  },
  {
    id: "unused-silence",
    level: "warning",
    summary: "A silencing of something that is not there",
    help: "Remove it, so that it does not hide what comes later."
  }
]
