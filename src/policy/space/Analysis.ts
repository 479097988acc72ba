/**
 * What some intentions decide, for all requests at once: a decision diagram for each, all over the same space, so that they
 * can be held against each other. It follows `RequestRuling` of the `Authorizer` step by step, for sets of requests.
 */
import { Result } from "effect"
import type * as Authorizer from "../../intention/Authorizer.ts"
import type * as Decision from "../../intention/Decision.ts"
import type * as HttpCondition from "../../intention/HttpCondition.ts"
import type * as Intention from "../../intention/Intention.ts"
import * as Source from "../../intention/Source.ts"
import * as TokenRequirement from "../../intention/TokenRequirement.ts"
import * as Truth from "../../intention/Truth.ts"
import type * as Dimension from "./Dimension.ts"
import * as Diagram from "./Diagram.ts"
import { Refusal } from "./Refusal.ts"
import * as Space from "./Space.ts"

/** What a decision says, without the intention that it rests on. Equal ones are the same object. */
export interface Outcome {
  readonly allowed: boolean
  readonly because: Decision.Because
  /** Position in the permissions of the intention. */
  readonly permission: number | undefined
}

const outcomes = new Map<string, Outcome>()
export const outcome = (allowed: boolean, because: Decision.Because, permission?: number): Outcome => {
  const key = `${allowed} ${because} ${permission}`
  const present = outcomes.get(key)
  if (present !== undefined) return present
  const made: Outcome = { allowed, because, permission }
  outcomes.set(key, made)
  return made
}

/** What decides about the requests of one caller: an intention, looked at request by request, or the same for all. */
export type Ruling =
  | { readonly _tag: "Always"; readonly outcome: Outcome; readonly rule: Decision.Rule | undefined }
  | {
    readonly _tag: "ByRequest"
    readonly rule: Decision.Rule
    readonly defaultPolicy: Authorizer.DefaultPolicy
  }

/** Requests to ask about: those that fulfil both parts. */
export interface Region {
  readonly http: Intention.HttpPermission | undefined
  readonly tokens: Intention.JwtRequirement | undefined
}

/** A request that shows something. Texts hold one character for each byte. */
export interface Witness {
  readonly method: string
  readonly path: string
  /** A line each. */
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly tokens: ReadonlyArray<readonly [provider: string, claims: TokenRequirement.Claims]>
}

export interface Analysis {
  readonly space: Space.Space
  readonly builder: Diagram.Builder
  readonly diagram: (ruling: Ruling) => Diagram.Diagram<Outcome>
  /** Which permission a request comes to in this reading, whatever that says about it; `undefined` for none. */
  readonly deciding: (
    intention: Intention.Intention,
    reading: HttpCondition.Reading
  ) => Diagram.Diagram<number | undefined>
  /** True inside: in the lines of a header joined, in either reading, or in both. */
  readonly region: (region: Region, reading: "joined" | "either" | "both") => Diagram.Diagram<boolean>
  /** A smallest request for each value. */
  readonly witnesses: <L>(diagram: Diagram.Diagram<L>) => ReadonlyMap<L, Witness>
}

/**
 * Fails with the reason why it is not decided. `body` may ask for diagrams of these rulings and regions only; what it builds
 * counts towards the budget too.
 */
export const analyse = <A>(
  rulings: ReadonlyArray<Ruling>,
  regions: ReadonlyArray<Region>,
  settings: Space.Settings,
  body: (analysis: Analysis) => A
): Result.Result<A, string> => {
  const rules = rulings.flatMap((ruling) => ruling._tag === "ByRequest" ? [ruling.rule.intention] : [])
  const permissions = rules.flatMap((intention) => intention.Permissions ?? [])
  return Result.flatMap(
    Space.make({
      http: [...permissions.map((permission) => permission.HTTP), ...regions.flatMap(({ http }) => http ? [http] : [])],
      tokens: [
        ...rules.map((intention) => intention.JWT),
        ...permissions.map((permission) => permission.JWT),
        ...regions.map((region) => region.tokens)
      ]
    }, settings),
    (space) => {
      const builder = Diagram.builder(settings.budget.nodes)
      try {
        return Result.succeed(body({
          space,
          builder,
          diagram: (ruling) =>
            ruling._tag === "Always"
              ? builder.leaf(ruling.outcome)
              : inBoth(
                space,
                builder,
                (reading) => compileRuling(space, builder, ruling, reading),
                (joined, lines) => joined.allowed && !lines.allowed ? lines : joined
              ),
          deciding: (intention, reading) => compileDeciding(space, builder, intention, reading),
          region: (region, reading) =>
            reading === "joined"
              ? compileRegion(space, builder, region, "joined")
              : inBoth(
                space,
                builder,
                (each) => compileRegion(space, builder, region, each),
                (joined, lines) => reading === "both" ? joined && lines : joined || lines
              ),
          witnesses: (diagram) => witnesses(space, diagram)
        }))
      } catch (error) {
        if (error instanceof Refusal) return Result.fail(error.message)
        if (!(error instanceof Diagram.TooLarge)) throw error
        return Result.fail(`the conditions combine into more than ${settings.budget.nodes} cases`)
      }
    }
  )
}

/** As in `RequestRuling`: requests with several lines of a header are read in two ways. */
const inBoth = <L>(
  space: Space.Space,
  builder: Diagram.Builder,
  compile: (reading: HttpCondition.Reading) => Diagram.Diagram<L>,
  join: (joined: L, lines: L) => L
): Diagram.Diagram<L> => {
  const joined = compile("joined")
  return space.several ? Diagram.combine(builder, joined, compile("lines"), join) : joined
}

type Outcomes = Diagram.Diagram<Outcome>

const compileRuling = (
  space: Space.Space,
  builder: Diagram.Builder,
  { defaultPolicy, rule }: Extract<Ruling, { _tag: "ByRequest" }>,
  reading: HttpCondition.Reading
): Outcomes => {
  const { intention } = rule
  const defaultAllows = defaultPolicy === "allow"
  const required = demand(intention.JWT, undefined)
  if (!Source.hasPermissions(intention)) {
    return guard(space, builder, outcome(rule.action === "allow", "intention"), defaultAllows, required)
  }
  let rest: Outcomes = builder.leaf(outcome(defaultAllows, "no-permission"))
  const permissions = intention.Permissions ?? []
  for (let index = permissions.length - 1; index >= 0; index--) {
    const { Action, HTTP, JWT, UnknownFields = [] } = permissions[index]!
    const undecidable = builder.leaf(outcome(false, "undecidable", index))
    const ruling = Action === "allow" || Action === "deny"
      ? guard(space, builder, outcome(Action === "allow", "permission", index), defaultAllows, [
        ...required,
        ...demand(JWT, index)
      ])
      : undecidable
    const conjunction = space.conjunction(HTTP)
    rest = first(
      builder,
      { ...conjunction, unknown: conjunction.unknown || UnknownFields.length > 0 },
      reading,
      ruling,
      undecidable,
      rest
    )
  }
  return rest
}

const compileDeciding = (
  space: Space.Space,
  builder: Diagram.Builder,
  { Permissions = [] }: Intention.Intention,
  reading: HttpCondition.Reading
): Diagram.Diagram<number | undefined> =>
  Permissions.reduceRight<Diagram.Diagram<number | undefined>>((rest, { HTTP, UnknownFields = [] }, index) => {
    const here = builder.leaf<number | undefined>(index)
    const conjunction = space.conjunction(HTTP)
    return first(
      builder,
      { ...conjunction, unknown: conjunction.unknown || UnknownFields.length > 0 },
      reading,
      here,
      here,
      rest
    )
  }, builder.leaf<number | undefined>(undefined))

/** `yes` where the conjunction holds, `unknown` where that is in doubt, otherwise `no`. */
const first = <L>(
  builder: Diagram.Builder,
  { constraints, unknown }: Space.Conjunction,
  reading: HttpCondition.Reading,
  yes: Diagram.Diagram<L>,
  doubt: Diagram.Diagram<L>,
  no: Diagram.Diagram<L>
): Diagram.Diagram<L> => {
  const known = new Map<string, Diagram.Diagram<L>>()
  const visit = (at: number, node: Diagram.Diagram<L>, unsure: boolean): Diagram.Diagram<L> => {
    const constraint = constraints[at]
    if (constraint === undefined) return unsure ? doubt : yes
    const key = `${at} ${node.id} ${unsure}`
    const present = known.get(key)
    if (present !== undefined) return present
    const { level, verdicts } = constraint
    const made = node._tag === "Node" && node.level < level
      ? builder.node(node.level, node.children.map((child) => visit(at, child, unsure)))
      : builder.node(
        level,
        verdicts[reading].map((verdict, atom) => {
          const child = node._tag === "Node" && node.level === level ? node.children[atom]! : node
          return verdict === Truth.No ? child : visit(at + 1, child, unsure || verdict === Truth.Unknown)
        })
      )
    known.set(key, made)
    return made
  }
  return visit(0, no, unknown)
}

interface Demand {
  readonly requirement: TokenRequirement.Requirement
  readonly providers: ReadonlyArray<string>
  readonly permission: number | undefined
}

const demand = (jwt: Intention.JwtRequirement | undefined, permission: number | undefined): ReadonlyArray<Demand> => {
  const requirement = TokenRequirement.compile(jwt, () => {})
  return requirement === undefined
    ? []
    : [{ requirement, permission, providers: (jwt?.Providers ?? []).map((provider) => provider.Name) }]
}

/** As in `RequestRuling`: tokens guard a verdict that departs from the default policy, and nothing else. */
const guard = (
  space: Space.Space,
  builder: Diagram.Builder,
  decided: Outcome,
  defaultAllows: boolean,
  demands: ReadonlyArray<Demand>
): Outcomes => {
  if (decided.allowed === defaultAllows || demands.length === 0) return builder.leaf(decided)
  return byTokens(space, builder, demands.flatMap((each) => each.providers), (tokens) => {
    let refusal: Outcome | undefined
    for (const { permission, requirement } of demands) {
      const verdict = requirement.judge(tokens)
      if (verdict === Truth.No) return outcome(defaultAllows, "token-missing", permission)
      if (verdict === Truth.Unknown) refusal ??= outcome(false, "undecidable", permission)
    }
    return refusal ?? decided
  })
}

/** Asks for every combination of what the tokens of these providers may be. */
const byTokens = <L>(
  space: Space.Space,
  builder: Diagram.Builder,
  providers: ReadonlyArray<string>,
  judge: (tokens: TokenRequirement.Tokens) => L
): Diagram.Diagram<L> => {
  const levels = [...new Set(providers.flatMap((provider) => space.tokenLevel(provider) ?? []))].sort((a, b) => a - b)
  const combinations = levels.reduce((product, level) => product * space.dimensions[level]!.values.length, 1)
  if (combinations > 100_000) throw new Refusal("tokens are told apart by too many combinations of claims")
  const chosen = new Map<string, TokenRequirement.Claims | undefined>()
  const visit = (at: number): Diagram.Diagram<L> => {
    const level = levels[at]
    if (level === undefined) return builder.leaf(judge((provider) => chosen.get(provider)))
    const dimension = space.dimensions[level]!
    return builder.node(
      level,
      dimension.values.map(({ claims }) => {
        chosen.set(dimension.name, claims)
        return visit(at + 1)
      })
    )
  }
  return visit(0)
}

const compileRegion = (
  space: Space.Space,
  builder: Diagram.Builder,
  { http, tokens }: Region,
  reading: HttpCondition.Reading
): Diagram.Diagram<boolean> => {
  const outside: Diagram.Diagram<boolean> = builder.leaf(false)
  const requirement = TokenRequirement.compile(tokens, () => {})
  const inside: Diagram.Diagram<boolean> = requirement === undefined
    ? builder.leaf(true)
    : byTokens(
      space,
      builder,
      (tokens?.Providers ?? []).map((provider) => provider.Name),
      (tokens) => requirement.judge(tokens) === Truth.Yes
    )
  return http === undefined ? inside : first(builder, space.conjunction(http), reading, inside, outside, outside)
}

const witnesses = <L>(space: Space.Space, diagram: Diagram.Diagram<L>): ReadonlyMap<L, Witness> => {
  // A dimension that is left open takes its cheapest value, which must cost nothing then.
  const least = space.dimensions.map(({ values }) => values[cheapestOf(values)]!.cost)
  const cost = (level: number, atom: number) => space.dimensions[level]!.values[atom]!.cost - least[level]!
  const found = new Map<L, Witness>()
  for (const [value, path] of Diagram.cheapest(diagram, cost)) found.set(value, toWitness(space, new Map(path.choices)))
  return found
}

/** Where the atom is left open, the cheapest. */
export const toWitness = (space: Space.Space, choices: ReadonlyMap<number, number>): Witness => {
  const headers: Array<readonly [string, string]> = []
  const tokens: Array<readonly [string, TokenRequirement.Claims]> = []
  let method = ""
  let path = ""
  space.dimensions.forEach(({ kind, name, values }, level) => {
    const value = values[choices.get(level) ?? cheapestOf(values)]!
    if (kind === "method") method = value.text ?? ""
    if (kind === "path") path = value.text ?? ""
    if (kind === "header" && value.lines !== undefined) {
      headers.push(...value.lines.map((line) => [name, line] as const))
    } else if (kind === "header" && value.text !== undefined) headers.push([name, value.text])
    if (kind === "token" && value.claims !== undefined) tokens.push([name, value.claims])
  })
  return { method, path, headers, tokens }
}

const cheapestOf = (values: ReadonlyArray<Dimension.Value>): number =>
  values.reduce((best, value, atom) => value.cost < values[best]!.cost ? atom : best, 0)
