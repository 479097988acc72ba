/**
 * An intention as `GET /v1/connect/intentions/match` returns it, in the spelling of the wire.
 *
 * Agents of different versions write "nothing" as an absent key, `null`, `""`, `[]`, `{}`, `false` or `0`. Here all of them
 * read as an absent key, and are written as one, as today's Consul does. Unknown fields are ignored, with one exception:
 * inside a permission and a token requirement an unknown field is a condition that this version cannot evaluate. Its name is
 * kept in `UnknownFields`, so that decisions fail closed instead of taking the condition for fulfilled.
 *
 * Source of the rules: `agent/structs/intention.go` and `agent/structs/config_entry_intentions.go`.
 */
import { Effect, Option, Schema, SchemaGetter } from "effect"

/** Nothing, in any spelling: Go's zero value, or JSON's `null`. */
const isNothing = (value: unknown): boolean =>
  value === undefined || value === null || value === "" || value === false || value === 0 ||
  (typeof value === "object" && Object.keys(value).length === 0)

const unlessNothing = Option.filter((value: unknown) => !isNothing(value))

/** A key that is present only when it says something. */
const optional = <A, I>(schema: Schema.Codec<A, I>) =>
  Schema.optional(Schema.NullOr(schema)).pipe(
    Schema.decodeTo(Schema.optionalKey(Schema.toType(schema)), {
      decode: SchemaGetter.transformOptional<A, A | null | undefined>((value) =>
        unlessNothing(value) as Option.Option<A>
      ),
      encode: SchemaGetter.transformOptional<A | null | undefined, A>((value) =>
        unlessNothing(value) as Option.Option<A>
      )
    })
  )

/** A text that is always written, and reads as `zero` when it says nothing. */
const text = (zero: string) =>
  Schema.optional(Schema.NullOr(Schema.String)).pipe(
    Schema.decodeTo(Schema.String, {
      decode: SchemaGetter.transformOptional<string, string | null | undefined>((value) =>
        Option.some(Option.getOrUndefined(value) || zero)
      ),
      encode: SchemaGetter.passthroughSubtype<string | null | undefined, string>()
    }),
    Schema.withConstructorDefault(Effect.succeed(zero))
  )

/** A number that is always written, and reads as 0 when it says nothing. */
const number = Schema.optional(Schema.NullOr(Schema.Finite)).pipe(
  Schema.decodeTo(Schema.Finite, {
    decode: SchemaGetter.transformOptional<number, number | null | undefined>((value) =>
      Option.some(Option.getOrUndefined(value) ?? 0)
    ),
    encode: SchemaGetter.passthroughSubtype<number | null | undefined, number>()
  }),
  Schema.withConstructorDefault(Effect.succeed(0))
)

/** A struct of conditions. Fields that are not known are named in `UnknownFields`. */
const conditions = <const Fields extends Schema.Struct.Fields>(fields: Fields) => {
  const struct = Schema.Struct({ ...fields, UnknownFields: Schema.optionalKey(Schema.Array(Schema.String)) })
  type Encoded = (typeof struct)["Encoded"]
  return Schema.Record(Schema.String, Schema.Unknown).pipe(
    Schema.decodeTo(struct, {
      decode: SchemaGetter.transform<Encoded, { readonly [key: string]: unknown }>((raw) => {
        const wire = withoutUnknownFields(raw)
        const unknown = Object.keys(wire).filter((key) => !Object.hasOwn(fields, key) && !isNothing(wire[key]))
        return (unknown.length === 0 ? wire : { ...wire, UnknownFields: unknown }) as Encoded
      }),
      encode: SchemaGetter.transform<{ readonly [key: string]: unknown }, Encoded>((value) =>
        withoutUnknownFields(value)
      )
    })
  )
}

/** That list is ours: the wire neither carries nor sets it. */
const withoutUnknownFields = (wire: object): { readonly [key: string]: unknown } => {
  const { UnknownFields: _ours, ...rest } = wire as { readonly [key: string]: unknown }
  return rest
}

/** One condition on a header. Exactly one kind is set, unless a newer Consul wrote one that is not known here. */
export interface HeaderMatcher extends Schema.Schema.Type<typeof HeaderMatcher> {}
export const HeaderMatcher = conditions({
  Name: text(""),
  Present: optional(Schema.Boolean),
  Exact: optional(Schema.String),
  Prefix: optional(Schema.String),
  Suffix: optional(Schema.String),
  Contains: optional(Schema.String),
  /** RE2, matches the whole value. */
  Regex: optional(Schema.String),
  Invert: optional(Schema.Boolean),
  /** Folds ASCII letters only. Means nothing for `Present` and `Regex`. */
  IgnoreCase: optional(Schema.Boolean)
})

/** The kind of a header matcher, in the order in which Consul looks for it; `undefined` is a kind not known here. */
export const headerKind = (matcher: HeaderMatcher): HeaderKind | undefined =>
  headerKinds.find((kind) => matcher[kind] !== undefined && matcher[kind] !== "" && matcher[kind] !== false)

const headerKinds = ["Exact", "Regex", "Prefix", "Suffix", "Contains", "Present"] as const
export type HeaderKind = (typeof headerKinds)[number]

/** Conditions on a request. All of them must hold; validation in Consul forbids that there are none. */
export interface HttpPermission extends Schema.Schema.Type<typeof HttpPermission> {}
export const HttpPermission = conditions({
  PathExact: optional(Schema.String),
  PathPrefix: optional(Schema.String),
  /** RE2, matches the whole path. */
  PathRegex: optional(Schema.String),
  Header: optional(Schema.Array(HeaderMatcher)),
  /** Upper-case. None means any. */
  Methods: optional(Schema.Array(Schema.String))
})

export interface JwtClaim extends Schema.Schema.Type<typeof JwtClaim> {}
export const JwtClaim = conditions({
  /** Keys from the root of the token's payload inwards. */
  Path: optional(Schema.Array(Schema.String)),
  Value: text("")
})

export interface JwtProvider extends Schema.Schema.Type<typeof JwtProvider> {}
export const JwtProvider = conditions({
  /** The name of a `jwt-provider` config entry. */
  Name: text(""),
  /** All must hold. */
  VerifyClaims: optional(Schema.Array(JwtClaim))
})

/** A token of any one of these providers is required. No providers: no requirement. */
export interface JwtRequirement extends Schema.Schema.Type<typeof JwtRequirement> {}
export const JwtRequirement = conditions({ Providers: optional(Schema.Array(JwtProvider)) })

/** One entry of an ordered list: the first whose `HTTP` matches decides. */
export interface Permission extends Schema.Schema.Type<typeof Permission> {}
export const Permission = conditions({
  /** `allow` or `deny`. Other values are kept as they came, and deny. */
  Action: text(""),
  HTTP: optional(HttpPermission),
  JWT: optional(JwtRequirement)
})

export interface Intention extends Schema.Schema.Type<typeof Intention> {}
export const Intention = Schema.Struct({
  /** A UUID, on intentions written through the legacy API only. */
  ID: optional(Schema.String),
  Description: optional(Schema.String),
  /** Absent means `default`, or that there are no partitions. */
  SourcePartition: optional(Schema.String),
  SourceNS: text("default"),
  /** A service, or `*`. */
  SourceName: text(""),
  /** Absent for callers of this cluster. */
  SourcePeer: optional(Schema.String),
  /** Consul replaces it by the members of the group before it answers. An intention that still has one cannot be evaluated. */
  SourceSamenessGroup: optional(Schema.String),
  DestinationPartition: optional(Schema.String),
  DestinationNS: text("default"),
  /** A service, or `*`. */
  DestinationName: text(""),
  SourceType: text("consul"),
  /** `allow` or `deny`; absent when there are permissions. Other values are kept as they came, and deny. */
  Action: optional(Schema.String),
  /** Present makes it a question of each request instead of each connection. */
  Permissions: optional(Schema.Array(Permission)),
  /** The token that every source of the config entry needs. */
  JWT: optional(JwtRequirement),
  DefaultAddr: optional(Schema.String),
  DefaultPort: optional(Schema.Finite),
  Meta: optional(Schema.Record(Schema.String, Schema.String)),
  /** 1 to 9, computed by Consul; 0 where it was missing. Decisions use `precedence`, which gives the same number. */
  Precedence: number,
  CreatedAt: optional(Schema.String),
  UpdatedAt: optional(Schema.String),
  /** Base64. */
  Hash: optional(Schema.String),
  CreateIndex: number,
  ModifyIndex: number
})

/** An intention in the default partition and namespace, from the two names and what is said about them. */
export const make = (
  source: string,
  destination: string,
  rule: "allow" | "deny" | ReadonlyArray<Permission>,
  rest?: Partial<Intention>
): Intention => {
  const intention = Intention.make({
    SourceName: source,
    DestinationName: destination,
    ...(typeof rule === "string" ? { Action: rule } : { Permissions: rule }),
    ...rest
  })
  return { ...intention, Precedence: precedence(intention) }
}

/** The four names that rank an intention. */
export type Names = Pick<Intention, "SourceNS" | "SourceName" | "DestinationNS" | "DestinationName">

/**
 * 1 to 9. The destination decides first: 9, 6 or 3 for two, one or no exact parts of it, minus the parts of the source
 * that are not exact. Peer, partition and sameness group do not count. (`UpdatePrecedence`, `countExact`.)
 */
export const precedence = (names: Names): number =>
  3 * (exactParts(names.DestinationNS, names.DestinationName) + 1) -
  (2 - exactParts(names.SourceNS, names.SourceName))

const exactParts = (namespace: string, name: string): number => namespace === "*" ? 0 : name === "*" ? 1 : 2

/**
 * The order in which Consul lists intentions and a decision walks them: precedence downwards, then the names upwards, the
 * empty one first. Never rely on the order of a list that was received. (`IntentionPrecedenceSorter`.)
 */
export const compare = (self: Intention, that: Intention): number => {
  const ranks = precedence(that) - precedence(self)
  if (ranks !== 0) return ranks
  for (const key of tieBreakers) {
    const a = self[key] ?? ""
    const b = that[key] ?? ""
    if (a !== b) return a < b ? -1 : 1
  }
  return 0
}

const tieBreakers = [
  "SourceSamenessGroup",
  "SourcePeer",
  "SourcePartition",
  "SourceNS",
  "SourceName",
  "DestinationPartition",
  "DestinationNS",
  "DestinationName"
] as const

/** A list as Go writes it: none is `null`, not `[]`. */
const list = <A, I>(schema: Schema.Codec<A, I>) =>
  Schema.NullOr(Schema.Array(schema)).pipe(
    Schema.decodeTo(Schema.Array(Schema.toType(schema)), {
      decode: SchemaGetter.transform<ReadonlyArray<A>, ReadonlyArray<A> | null>((value) => value ?? []),
      encode: SchemaGetter.transform<ReadonlyArray<A> | null, ReadonlyArray<A>>((value) =>
        value.length === 0 ? null : value
      )
    })
  )

/** What the match endpoint answers: a list for each name that was asked for, keyed by it exactly as it was sent. */
export interface MatchResult extends Schema.Schema.Type<typeof MatchResult> {}
export const MatchResult = Schema.Record(Schema.String, list(Intention))

/** The intentions for `name`. A missing key, `null` and `[]` all mean that there are none. */
export const matches = (result: MatchResult, name: string): ReadonlyArray<Intention> =>
  Object.hasOwn(result, name) ? result[name] ?? [] : []
