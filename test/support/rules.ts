/** Permissions of every kind, and requests that come close to them: for holding the analysis against the `Authorizer`. */
import { Arbitrary, Schema } from "effect"
import * as Intention from "../../src/intention/Intention.ts"
import type * as TokenRequirement from "../../src/intention/TokenRequirement.ts"
import type * as Dimension from "../../src/policy/space/Dimension.ts"

const optional = <S extends Schema.Top>(schema: S) => Schema.Union([Schema.Null, schema])

const texts = ["/", "/a", "/a/", "/ab", "/b", "/é", "/a?x", "/A"] as const
const expressions = [
  "/a|/b",
  "/[a-c]+",
  "(?i)/A.*",
  "/.",
  "/(a|ab)(c|bc)?",
  "^/a$",
  "/a\\b.*",
  "(?s)/.*b",
  "/[^/]*(/[^/]*)?",
  "/\\pL",
  "/a{2,3}",
  "a)(b",
  "[a-z]+,?",
  ".*"
] as const
const values = ["a", "A", "ab", "b", "é", "k", "a,b", ","] as const
const names = ["x-a", "X-A", "x-b", "host", ":path", ":method", ":authority", ":other", ""] as const

const Matcher = Schema.Struct({
  name: Schema.Literals(names),
  kind: Schema.Literals(["Present", "Exact", "Prefix", "Suffix", "Contains", "Regex", "Newer"]),
  value: Schema.Literals(values),
  expression: Schema.Literals(expressions),
  invert: Schema.Boolean,
  ignoreCase: Schema.Boolean
})

const Provider = Schema.Struct({
  name: Schema.Literals(["okta", "auth0"]),
  claims: Schema.Array(Schema.Struct({
    path: Schema.Literals(["role", "role.team", "team"]),
    value: Schema.Literals(["x", "y"])
  }))
})

const Entry = Schema.Struct({
  action: Schema.Literals(["allow", "deny", "allow", "deny", "audit"]),
  path: Schema.Literals(["none", "PathExact", "PathPrefix", "PathRegex"]),
  text: Schema.Literals(texts),
  expression: Schema.Literals(expressions),
  methods: Schema.Array(Schema.Literals(["GET", "POST", "FETCH"])),
  headers: Schema.Array(Matcher),
  jwt: optional(Provider),
  newer: Schema.Literals([0, 0, 0, 0, 0, 0, 1, 2])
})

const requirement = (provider: (typeof Provider)["Type"] | null): { JWT?: Intention.JwtRequirement } =>
  provider === null ? {} : {
    JWT: {
      Providers: [{
        Name: provider.name,
        VerifyClaims: provider.claims.slice(0, 2).map(({ path, value }) => ({ Path: path.split("."), Value: value }))
      }]
    }
  }

const toPermission = (entry: (typeof Entry)["Type"]): Intention.Permission => ({
  Action: entry.action,
  HTTP: {
    ...(entry.path === "none" ? {} : { [entry.path]: entry.path === "PathRegex" ? entry.expression : entry.text }),
    ...(entry.headers.length === 0 ? {} : {
      Header: entry.headers.slice(0, 3).map(({ expression, ignoreCase, invert, kind, name, value }) => ({
        Name: name,
        ...(kind === "Newer"
          ? { UnknownFields: ["Newer"] }
          : { [kind]: kind === "Present" ? true : kind === "Regex" ? expression : value }),
        ...(invert ? { Invert: true } : {}),
        ...(ignoreCase ? { IgnoreCase: true } : {})
      }))
    }),
    ...(entry.methods.length === 0 ? {} : { Methods: entry.methods }),
    ...(entry.newer === 1 ? { UnknownFields: ["Newer"] } : {})
  },
  ...requirement(entry.jwt),
  ...(entry.newer === 2 ? { UnknownFields: ["Newer"] } : {})
})

/** From web to api. Not everything here would be stored by Consul: what is not understood has to be got right too. */
export const rules = Arbitrary.schema(Schema.Struct({ entries: Schema.Array(Entry), jwt: optional(Provider) })).pipe(
  Arbitrary.map(({ entries, jwt }) =>
    Intention.make(
      "web",
      "api",
      entries.length === 0 ? "allow" : entries.slice(0, 6).map(toPermission),
      requirement(jwt)
    )
  )
)

export const seeds = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 - 1 })))

export interface Request {
  readonly method: string
  readonly path: string
  readonly headers: ReadonlyArray<readonly [string, string]>
  readonly tokens: ReadonlyArray<readonly [string, TokenRequirement.Claims]>
}

/** A small generator of numbers below 1 (mulberry32), so that thousands of requests cost nothing. */
export const random = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const bytes = (text: string) => Buffer.from(text, "utf8").toString("latin1")

export const requestsFor = (rule: Intention.Intention, seed: number, count: number): ReadonlyArray<Request> => {
  const next = random(seed)
  const pick = <A>(list: ReadonlyArray<A>): A => list[Math.floor(next() * list.length)]!
  const matchers = (rule.Permissions ?? []).flatMap((permission) => permission.HTTP?.Header ?? [])
  const wanted = matchers.flatMap((m) => [m.Exact, m.Prefix, m.Suffix, m.Contains].flatMap((text) => text ?? []))
  const letters = [...("aAbBcCkKéÉ/,.x\u212a"), "\xff"]
  const value = (): string => {
    const text = next() < 0.5 ? pick(values) : next() < 0.5 && wanted.length > 0 ? pick(wanted) : pick(letters)
    const base = text === "\xff" ? text : bytes(text)
    return next() < 0.7 ? base : next() < 0.5 ? base + value() : next() < 0.5 ? base.toUpperCase() : ""
  }
  const path = (): string => {
    const base = bytes(next() < 0.6 ? pick(texts).split("?")[0]! : `/${pick(letters)}`)
    return (next() < 0.6 ? base : base + value().replace(/[\0-\x20?#]/g, "")) + (next() < 0.2 ? "?/a" : "")
  }
  return Array.from({ length: count }, () => ({
    method: pick(["GET", "POST", "FETCH", "a", "HEAD"]),
    path: path(),
    headers: Array.from(
      { length: Math.floor(next() * 4) },
      () => [pick(["x-a", "X-A", "X-B", "Host"]), value()] as const
    ),
    tokens: ["okta", "auth0"].flatMap((name) => next() < 0.5 ? [[name, pick(tokens)] as const] : [])
  }))
}

const tokens: ReadonlyArray<TokenRequirement.Claims> = [
  {},
  { role: "x" },
  { role: "y", team: "x" },
  { role: { team: "x" } },
  { role: { team: "y" }, team: "y" },
  { role: ["x"], team: 1 },
  { role: "z" }
]

/** The atom of a token: the one whose claims are exactly those of its claims that some atom has. */
export const tokenAtom = (values: ReadonlyArray<Dimension.Value>, token: TokenRequirement.Claims): number => {
  const known = new Set(values.flatMap(({ claims }) => claims === undefined ? [] : leaves(claims)))
  const own = leaves(token).filter((leaf) => known.has(leaf)).sort().join()
  return values.findIndex(({ claims }) => claims !== undefined && leaves(claims).sort().join() === own)
}

const leaves = (claims: TokenRequirement.Claims, path = ""): Array<string> =>
  Object.entries(claims).flatMap(([key, value]) =>
    typeof value === "string"
      ? [`${path}${key}=${value}`]
      : typeof value === "object" && value !== null && !Array.isArray(value)
      ? leaves(value as TokenRequirement.Claims, `${path}${key}.`)
      : []
  )
