/** What a policy says at one destination that its author may not have meant. Each is a fact, shown by a request where there is one. */
import { Result } from "effect"
import type * as Authorizer from "../../intention/Authorizer.ts"
import * as Bytes from "../../intention/Bytes.ts"
import * as Decision from "../../intention/Decision.ts"
import * as Intention from "../../intention/Intention.ts"
import type * as PathNormalization from "../../intention/PathNormalization.ts"
import * as Source from "../../intention/Source.ts"
import * as TokenRequirement from "../../intention/TokenRequirement.ts"
import * as Analysis from "../space/Analysis.ts"
import type * as Callers from "../Callers.ts"
import * as Detours from "./Detours.ts"
import * as Diagram from "../space/Diagram.ts"
import * as Envoy from "./Envoy.ts"
import type * as Mesh from "../Mesh.ts"
import * as Names from "../Names.ts"
import * as Policy from "../Policy.ts"
import * as Witnesses from "../space/Witnesses.ts"

export interface Surprise {
  readonly kind:
    | "restricts-nothing"
    | "allows-nothing"
    | "no-boundary"
    | "wide-denial"
    | "absent-header"
    | "way-around"
    | "envoy-differs"
    | "shadowed"
    | "unreachable"
    | "token-unused"
    | "needs-http"
    | "needs-requests"
    | "assumed-protocol"
    | "not-understood"
    | "not-decided"
  /** The intention that it is about. */
  readonly rule: Decision.Rule | undefined
  readonly permission: number | undefined
  readonly message: string
  readonly witness: Analysis.Witness | undefined
}

export const find = (
  mesh: Mesh.Mesh,
  destination: Names.Name,
  callers: ReadonlyArray<Callers.Caller>
): ReadonlyArray<Surprise> => {
  const { http, intentions, warnings } = mesh.authorizer(destination)
  const deciding = new Map<Intention.Intention, Decision.Rule>()
  for (const caller of callers) {
    const { rule } = mesh.ruling(caller, destination)
    if (rule !== undefined) deciding.set(rule.intention, rule)
  }
  const { from } = Policy.protocol(mesh.policy, destination)
  const assumed: ReadonlyArray<Surprise> = from === "permissions"
    ? [surprise(
      "assumed-protocol",
      undefined,
      "nothing says which protocol it speaks; it is taken for http, because only HTTP services can have permissions, or required tokens looked for"
    )]
    : []
  return [
    ...assumed,
    ...warnings.map(({ message, permission, rule }) => surprise("not-understood", rule, message, permission)),
    ...intentions.filter((intention) => !deciding.has(intention)).map((intention) =>
      surprise("shadowed", Source.rule(intention), "never decides here: for every caller another one outranks it")
    ),
    ...[...deciding.values()].flatMap((rule) => http ? ofRule(mesh, rule) : ofConnection(rule)),
    ...envoy(mesh, destination, callers)
  ]
}

const surprise = (
  kind: Surprise["kind"],
  rule: Decision.Rule | undefined,
  message: string,
  permission?: number,
  witness?: Analysis.Witness
): Surprise => ({ kind, rule, permission, message, witness })

const ofConnection = (rule: Decision.Rule): ReadonlyArray<Surprise> =>
  rule.action === "permissions"
    ? [
      surprise(
        "needs-http",
        rule,
        "has permissions, which a service that does not speak HTTP can not judge: it denies everybody"
      )
    ]
    : []

const ofRule = (mesh: Mesh.Mesh, rule: Decision.Rule): ReadonlyArray<Surprise> => {
  const permissions = rule.intention.Permissions ?? []
  const { defaultPolicy } = mesh.policy
  const found = [...ofTokens(rule, defaultPolicy)]
  if (permissions.length === 0) return found
  const ruling: Analysis.Ruling = { _tag: "ByRequest", rule, defaultPolicy }
  const probes = permissions.flatMap((permission, index) => probesOf(permission, index))
  const result = Analysis.analyse(
    [ruling],
    [
      ...probes.map((probe) => probe.region),
      ...permissions.map(({ HTTP }) => ({ http: HTTP, tokens: undefined })),
      ...permissions.flatMap((permission) => withoutPath(permission) ?? [])
    ],
    mesh.settings,
    (analysis) => {
      const judged: Judged = {
        rule,
        permissions,
        analysis,
        outcomes: analysis.diagram(ruling),
        deciding: analysis.deciding(rule.intention, "joined")
      }
      found.push(
        ...ofOutcomes(judged, defaultPolicy),
        ...unreachable(judged),
        ...ofProbes(judged, probes),
        ...ofDetours(judged, mesh.settings.normalization)
      )
    }
  )
  if (Result.isFailure(result)) {
    found.push(surprise("not-decided", rule, `can not be looked through: ${result.failure}`))
  }
  return found
}

const ofTokens = (rule: Decision.Rule, defaultPolicy: Authorizer.DefaultPolicy): ReadonlyArray<Surprise> => {
  const { JWT, Permissions = [] } = rule.intention
  const found: Array<Surprise> = []
  if (
    defaultPolicy === "allow" && (JWT !== undefined || Permissions.some((permission) => permission.JWT !== undefined))
  ) {
    found.push(surprise(
      "token-unused",
      rule,
      "requires a token, which under the default policy allow guards no allow: without a token the default policy answers"
    ))
  }
  if (Permissions.length === 0 && defaultPolicy === "deny" && TokenRequirement.isDemanded(JWT)) {
    found.push(surprise(
      "needs-requests",
      rule,
      "requires a token, and tokens come with requests: a server that judges connections, as MeshSocketServer does, refuses " +
        "everybody that it is about"
    ))
  }
  return found
}

/** An intention with permissions, and what it says about every request. */
interface Judged {
  readonly rule: Decision.Rule
  readonly permissions: ReadonlyArray<Intention.Permission>
  readonly analysis: Analysis.Analysis
  readonly outcomes: Diagram.Diagram<Analysis.Outcome>
  /** The position of the permission that decides, if one does. */
  readonly deciding: Diagram.Diagram<number | undefined>
}

const ofOutcomes = (
  { outcomes, rule }: Judged,
  defaultPolicy: Authorizer.DefaultPolicy
): ReadonlyArray<Surprise> => {
  const allowed = new Set([...Diagram.values(outcomes)].map((outcome) => outcome.allowed))
  if (defaultPolicy === "allow" && !allowed.has(false)) {
    return [
      surprise("restricts-nothing", rule, "has permissions, yet allows every request, as the default policy does")
    ]
  }
  if (defaultPolicy === "deny" && !allowed.has(true)) {
    return [surprise("allows-nothing", rule, "has permissions, yet denies every request, as the default policy does")]
  }
  return []
}

const unreachable = ({ analysis, deciding, permissions, rule }: Judged): ReadonlyArray<Surprise> => {
  const reached = new Set([
    ...Diagram.values(deciding),
    ...Diagram.values(analysis.deciding(rule.intention, "lines"))
  ])
  return permissions.flatMap(({ HTTP }, index) => {
    if (reached.has(index)) return []
    const covering = Diagram.values(Diagram.combine(
      analysis.builder,
      analysis.region({ http: HTTP, tokens: undefined }, "joined"),
      deciding,
      (inside, by) => inside ? by : undefined
    ))
    const earlier = [...covering].flatMap((by) => by === undefined ? [] : [by]).sort((a, b) => a - b)
    const first = earlier.length === 1
      ? `${Decision.permissionName(earlier[0]!)} comes`
      : `permissions ${earlier.map((at) => at + 1).join(" and ")} come`
    return [surprise(
      "unreachable",
      rule,
      `never decides: ${
        earlier.length === 0 ? "no request can fulfil it" : `${first} first for every request that it is about`
      }`,
      index
    )]
  })
}

const ofProbes = (
  { analysis, deciding, outcomes, rule }: Judged,
  probes: ReadonlyArray<Probe>
): ReadonlyArray<Surprise> =>
  probes.flatMap(({ kind, message, permission, region, wanted }) => {
    const hits = Diagram.combine(
      analysis.builder,
      analysis.region(region, "joined"),
      Diagram.combine(analysis.builder, outcomes, deciding, (outcome, by) => wanted(outcome, by)),
      (inside, hit) => inside && hit
    )
    const witness = analysis.witnesses(hits).get(true)
    return witness === undefined ? [] : [surprise(kind, rule, message, permission, witness)]
  })

const ofDetours = (
  { analysis, outcomes, permissions, rule }: Judged,
  normalization: PathNormalization.RequestNormalization
): ReadonlyArray<Surprise> =>
  permissions.flatMap((permission, index) => {
    const ways = waysAround(analysis, outcomes, permission, normalization)
    const [first] = ways
    return first === undefined ? [] : [surprise(
      "way-around",
      rule,
      `denies ${
        permission.HTTP?.PathExact ?? permission.HTTP?.PathPrefix
      }, and other spellings of that are allowed, which ` +
        `many servers take for the same path: ${
          ways.map(({ detour }) => `${Detours.show(detour)} (${detour.kind})`).join(", ")
        }`,
      index,
      first.witness
    )]
  })

/** The other conditions of a denial that is about a path; the same object each time, as spaces know conditions by it. */
const withoutPath = (permission: Intention.Permission): Analysis.Region | undefined => {
  const { Action, HTTP } = permission
  if (Action !== "deny" || HTTP === undefined || !(HTTP.PathExact || HTTP.PathPrefix)) return undefined
  const present = regionsWithoutPath.get(HTTP)
  if (present !== undefined) return present
  const { Header = [], Methods = [] } = HTTP
  const made: Analysis.Region = {
    http: Header.length + Methods.length === 0
      ? undefined
      : { ...(Header.length > 0 ? { Header } : {}), ...(Methods.length > 0 ? { Methods } : {}) },
    tokens: undefined
  }
  regionsWithoutPath.set(HTTP, made)
  return made
}

const regionsWithoutPath = new WeakMap<Intention.HttpPermission, Analysis.Region>()

/** Spellings of the path of a denial, of each kind one, by which a request that it is about otherwise is allowed. */
const waysAround = (
  { builder, region, space, witnesses }: Analysis.Analysis,
  outcomes: Diagram.Diagram<Analysis.Outcome>,
  permission: Intention.Permission,
  normalization: PathNormalization.RequestNormalization
): ReadonlyArray<{ readonly detour: Detours.Detour; readonly witness: Analysis.Witness }> => {
  const rest = withoutPath(permission)
  const level = space.dimensions.findIndex(({ kind }) => kind === "path")
  if (rest === undefined || level === -1) return []
  const inside = region(rest, "joined")
  const allowedAt = (path: string, allowed: boolean): Analysis.Witness | undefined => {
    const atom = space.dimensions[level]!.find(path)
    if (atom === undefined) return undefined
    const hits = Diagram.combine(
      builder,
      inside,
      Diagram.restrict(builder, outcomes, level, atom),
      (inside, outcome) => inside && outcome.allowed === allowed
    )
    const witness = witnesses(hits).get(true)
    return witness && { ...witness, path }
  }
  const path = Bytes.fromText(permission.HTTP?.PathExact ?? permission.HTTP?.PathPrefix ?? "")
  if (allowedAt(path, false) === undefined) return []
  const kinds = new Set<string>()
  return Detours.around(path, normalization).flatMap((detour) => {
    const witness = kinds.has(detour.kind) ? undefined : allowedAt(detour.path, true)
    if (witness === undefined) return []
    kinds.add(detour.kind)
    return [{ detour, witness }]
  })
}

/** A kind of request that should perhaps not be treated as it is. */
interface Probe {
  readonly kind: "no-boundary" | "wide-denial" | "absent-header"
  readonly permission: number
  readonly message: string
  readonly region: Analysis.Region
  readonly wanted: (outcome: Analysis.Outcome, deciding: number | undefined) => boolean
}

const probesOf = (permission: Intention.Permission, index: number): ReadonlyArray<Probe> => {
  const { HTTP: http } = permission
  if (http === undefined) return []
  const found: Array<Probe> = []
  const { PathPrefix: prefix } = http
  if (prefix !== undefined && !http.PathExact && !prefix.endsWith("/")) {
    found.push({
      // Denied too much is no way in.
      kind: permission.Action === "deny" ? "wide-denial" : "no-boundary",
      permission: index,
      message: `the prefix ${prefix} has no boundary: it covers more than ${prefix} and what is below ${prefix}/`,
      region: { http: { PathRegex: `(?s)${quote(prefix)}[^/?].*` }, tokens: undefined },
      wanted: (_, deciding) => deciding === index
    })
  }
  const matchers = http.Header ?? []
  if (permission.Action !== "deny") return found
  for (const { Invert: invert, Name: name } of matchers.filter((each) => Intention.headerKind(each) !== "Present")) {
    if (invert !== true) continue
    const others = matchers.filter((each) => each.Name.toLowerCase() !== name.toLowerCase())
    found.push({
      kind: "absent-header",
      permission: index,
      message:
        `a request without the header ${name} gets around it, because an absent header fails inverted matchers too`,
      region: {
        http: { ...http, Header: [...others, { Name: name, Present: true, Invert: true }] },
        tokens: undefined
      },
      wanted: (outcome, deciding) => outcome.allowed && deciding !== index
    })
  }
  return found
}

const quote = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")

/** Callers about whom it says the same come together. */
const envoy = (
  mesh: Mesh.Mesh,
  destination: Names.Name,
  callers: ReadonlyArray<Callers.Caller>
): ReadonlyArray<Surprise> => {
  const groups = new Map<string, { readonly callers: Array<string>; readonly deviation: Envoy.Deviation }>()
  for (const caller of callers) {
    const deviation = Envoy.deviation(mesh, destination, caller)
    if (deviation === undefined) continue
    const { also, rule, witness } = deviation
    const key = JSON.stringify([Decision.formatRule(rule), Decision.formatRule(also), witness])
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { callers: [caller.label], deviation })
    else group.callers.push(caller.label)
  }
  return [...groups.values()].map(({ callers: about, deviation: { also, rule, witness } }) =>
    surprise(
      "envoy-differs",
      rule,
      `decides about ${Names.few(about)}, yet Consul's Envoy sidecars also apply ${Decision.formatRule(also)}, and ${
        mesh.policy.defaultPolicy === "deny" ? "allow" : "deny"
      } what it does`,
      undefined,
      witness
    )
  )
}

export const format = ({ message, permission, rule, witness }: Surprise): string => {
  const place = rule === undefined
    ? ""
    : permission === undefined
    ? `${Decision.formatRule(rule)}: `
    : `${Decision.permissionName(permission)} of ${Decision.formatRule(rule)}: `
  return `${place}${message}${witness === undefined ? "" : ` (${Witnesses.describe(witness)})`}`
}
