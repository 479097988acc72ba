/**
 * The intentions that Envoy's RBAC stands for. Consul makes policies out of intentions by taking precedence away: each policy says what
 * departs from the default, and excludes what more specific intentions are about.
 *
 *     web → api allow, * → api deny, default deny    ▶  ALLOW [web]
 *     web → api deny, * → api allow, default deny    ▶  ALLOW [* and not web]
 *
 * That is undone here, exactly or not at all. A policy that can not be told as intentions is named, and closes: it allows nobody, or,
 * where policies deny, nobody is allowed anything any more.
 */
import * as Intention from "../../intention/Intention.ts"
import type * as IntentionSource from "../../intention/Source.ts"
import type * as Authorizer from "../../intention/Authorizer.ts"
import type * as Fields from "./Fields.ts"
import * as FieldsOf from "./Fields.ts"
import * as RbacPermission from "./RbacPermission.ts"
import * as RbacPrincipal from "./RbacPrincipal.ts"
import type * as RbacTokens from "./RbacTokens.ts"
import * as Sources from "./Sources.ts"

export interface Policy {
  readonly defaultPolicy: Authorizer.DefaultPolicy
  readonly intentions: ReadonlyArray<Intention.Intention>
  readonly peers: ReadonlyArray<IntentionSource.Peer>
  /** What is not understood, and what that closes. */
  readonly flaws: ReadonlyArray<string>
}

export interface Options {
  /** Of this mesh: sources in others are peers. */
  readonly trustDomain: string
  readonly destination: { readonly service: string; readonly namespace: string; readonly partition: string }
  readonly tokens: RbacTokens.Tokens
}

/** Nobody may do anything. */
export const closed = (flaws: ReadonlyArray<string>): Policy => ({
  defaultPolicy: "deny",
  intentions: [],
  peers: [],
  flaws
})

/** What departs from the default for the callers of one source. */
interface Entry {
  readonly source: Sources.Source
  readonly nots: ReadonlyArray<Sources.Source>
  readonly jwt: Intention.JwtRequirement | undefined
  readonly permissions: ReadonlyArray<RbacPermission.Permission>
}

/** `filter`: the configuration of the filter, for connections or for requests. */
export const read = (filter: FieldsOf.Json, options: Options): Policy => {
  const { flaws, value } = FieldsOf.read("RBAC", filter, (fields) => {
    fields.skip("@type", "stat_prefix")
    const rules = fields.one("rules")
    return rules === undefined ? undefined : { action: actionOf(rules), policies: rules.json("policies") ?? {} }
  })
  if (value === undefined || flaws.length > 0) {
    return closed([...flaws, ...(value === undefined ? ["RBAC has no rules"] : [])].map(closing))
  }
  const allows = value.action === "ALLOW"
  const entries: Array<Entry> = []
  const wrong: Array<string> = []
  for (const [name, policy] of Object.entries(value.policies as FieldsOf.Json)) {
    const read = FieldsOf.read(`the policy ${name}`, policy as FieldsOf.Json, (fields) => entriesOf(fields, options))
    if (read.flaws.length === 0) entries.push(...read.value)
    else wrong.push(...read.flaws)
  }
  const { intentions, problems } = toIntentions(entries, allows, options)
  wrong.push(...problems)
  if (!allows && wrong.length > 0) return closed(wrong.map(closing))
  const peers = new Map(
    intentions.flatMap(({ SourcePartition, SourcePeer }) =>
      SourcePeer === undefined
        ? []
        : [[SourcePeer, { name: SourcePeer, trustDomain: SourcePeer, partition: SourcePartition }] as const]
    )
  )
  return {
    defaultPolicy: allows ? "deny" : "allow",
    intentions,
    peers: [...peers.values()],
    flaws: wrong.map((flaw) => `${flaw} is not understood: it allows nobody`)
  }
}

const closing = (flaw: string): string => `${flaw} is not understood: nobody is let in`

/** The default is ALLOW: who matches a policy is allowed. */
const actionOf = (rules: Fields.Fields): "ALLOW" | "DENY" => {
  const action = rules.text("action") || "ALLOW"
  if (action !== "ALLOW" && action !== "DENY") rules.flaw(`the action ${action}`)
  return action === "DENY" ? "DENY" : "ALLOW"
}

const entriesOf = (policy: Fields.Fields, { tokens, trustDomain }: Options): ReadonlyArray<Entry> => {
  const permissions = policy.many("permissions").map((fields) => RbacPermission.read(fields, tokens))
  const principals = policy.many("principals").flatMap((fields) => RbacPrincipal.read(fields, tokens, trustDomain))
  // It is about no request at all.
  if (permissions.length === 0) return []
  return principals.map((principal) => ({ ...principal, permissions }))
}

const toIntentions = (
  entries: ReadonlyArray<Entry>,
  allows: boolean,
  options: Options
): { readonly intentions: ReadonlyArray<Intention.Intention>; readonly problems: ReadonlyArray<string> } => {
  const problems: Array<string> = []
  const bySource = new Map<string, Entry>()
  const excluded = new Map<string, Sources.Source>()
  for (const entry of entries) {
    const key = Sources.key(entry.source)
    if (bySource.has(key)) problems.push(`a second policy about ${key}`)
    bySource.set(key, entry)
    for (const not of entry.nots) excluded.set(Sources.key(not), not)
  }
  const defaults = [...excluded].flatMap(([key, source]) => bySource.has(key) ? [] : [source])
  const patterns = [...entries.map(({ source }) => source), ...defaults]
  for (const { nots, source } of bySource.values()) {
    for (const not of nots) {
      if (not === source || !Sources.isWithin(not, source) || Sources.isWithin(source, not)) {
        problems.push(`an exclusion of ${Sources.key(not)} from ${Sources.key(source)}`)
      }
    }
    for (const other of patterns) {
      const narrower = Sources.isWithin(other, source) && !Sources.isWithin(source, other)
      if (narrower && !nots.some((not) => Sources.isWithin(other, not))) {
        problems.push(`a policy about ${Sources.key(source)} that does not exclude ${Sources.key(other)}`)
      }
    }
  }
  const intentions = [...bySource.values()].flatMap((entry) => {
    const rule = ruleOf(entry, allows)
    if (rule !== undefined) return [intention(entry.source, options, rule, entry.jwt)]
    problems.push(`the order of the permissions for ${Sources.key(entry.source)}`)
    return []
  })
  const otherwise = allows ? "deny" : "allow"
  if (problems.length > 0) return { intentions: [], problems }
  return {
    intentions: [...intentions, ...defaults.map((source) => intention(source, options, otherwise, undefined))],
    problems
  }
}

type Rule = "allow" | "deny" | ReadonlyArray<Intention.Permission>

/** Permissions exclude those that came before them. Undefined: these do so in no order. */
const ruleOf = ({ permissions }: Entry, allows: boolean): Rule | undefined => {
  const [departing, otherwise] = allows ? ["allow", "deny"] as const : ["deny", "allow"] as const
  const [only] = permissions
  if (permissions.length === 1 && only!.http === undefined && only!.nots.length === 0 && only!.jwt === undefined) {
    return departing
  }
  const listed: Array<Intention.Permission> = []
  const seen = new Set<string>()
  const add = (Action: string, http: Intention.HttpPermission | undefined, jwt?: Intention.JwtRequirement) => {
    seen.add(JSON.stringify(http ?? null))
    listed.push({ Action, HTTP: http ?? everyRequest, ...(jwt === undefined ? {} : { JWT: jwt }) })
  }
  const inOrder = permissions.toSorted((a, b) => a.nots.length - b.nots.length)
  for (const { http, jwt, nots } of inOrder) {
    // The last one excluded is the one that came first.
    for (const not of nots.toReversed()) if (!seen.has(JSON.stringify(not ?? null))) add(otherwise, not)
    const excluded = new Set(nots.map((not) => JSON.stringify(not ?? null)))
    if (excluded.size !== seen.size || [...seen].some((key) => !excluded.has(key))) return undefined
    add(departing, http, jwt)
  }
  return listed
}

/** A permission needs a condition. */
const everyRequest: Intention.HttpPermission = { Header: [{ Name: ":method", Present: true }] }

const intention = (
  source: Sources.Source,
  { destination, trustDomain }: Options,
  rule: Rule,
  jwt: Intention.JwtRequirement | undefined
): Intention.Intention =>
  Intention.make(source.service ?? "*", destination.service, rule, {
    SourceNS: source.namespace ?? "*",
    DestinationNS: destination.namespace,
    ...(destination.partition === "default" ? {} : { DestinationPartition: destination.partition }),
    ...(source.partition === "default" ? {} : { SourcePartition: source.partition }),
    ...(source.trustDomain === trustDomain ? {} : { SourcePeer: source.trustDomain }),
    ...(jwt === undefined ? {} : { JWT: jwt })
  })
