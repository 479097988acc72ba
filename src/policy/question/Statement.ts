/** How statements are written: strictly, so that a word that is written wrong does not make a statement about nothing. */
import { Result, Schema } from "effect"
import * as RegularExpression from "../../intention/RegularExpression.ts"

const OneOrMore = Schema.Union([
  Schema.NonEmptyString,
  Schema.Array(Schema.NonEmptyString).check(Schema.isMinLength(1, { message: "the list is empty; name somebody" }))
])

const path = Schema.String.check(Schema.isPattern(/^\//, {
  message: "a path starts with /",
  toJsonSchema: () => [{ pattern: "^/" }, true]
}))
const expression = Schema.String.check(
  Schema.makeFilter((text) => {
    const compiled = RegularExpression.compile(text)
    return Result.isSuccess(compiled) || `it is no RE2 expression: ${compiled.failure}`
  })
)
const isGiven = (value: unknown) => value !== undefined && value !== false

const exactlyOne = (kinds: ReadonlyArray<string>) =>
  Schema.makeFilter((fields: { readonly [key: string]: unknown }) => {
    const given = kinds.filter((kind) => isGiven(fields[kind]))
    return given.length === 1 || (given.length === 0
      ? `it says nothing: give one of ${kinds.join(", ")}`
      : `it says ${given.join(" and ")}: make it two`)
  }, { toJsonSchema: () => [{ oneOf: kinds.map((kind) => ({ required: [kind] })) }, true] })

const Header = Schema.Struct({
  Name: Schema.NonEmptyString,
  Present: Schema.optionalKey(Schema.Boolean),
  Exact: Schema.optionalKey(Schema.NonEmptyString),
  Prefix: Schema.optionalKey(Schema.NonEmptyString),
  Suffix: Schema.optionalKey(Schema.NonEmptyString),
  Contains: Schema.optionalKey(Schema.NonEmptyString),
  Regex: Schema.optionalKey(expression),
  Invert: Schema.optionalKey(Schema.Boolean),
  IgnoreCase: Schema.optionalKey(Schema.Boolean)
}).check(exactlyOne(["Present", "Exact", "Prefix", "Suffix", "Contains", "Regex"]))

const Requests = Schema.Struct({
  PathExact: Schema.optionalKey(path),
  PathPrefix: Schema.optionalKey(path),
  PathRegex: Schema.optionalKey(expression),
  Header: Schema.optionalKey(Schema.Array(Header)),
  Methods: Schema.optionalKey(Schema.Array(Schema.NonEmptyString))
}).check(
  Schema.makeFilter(
    ({ PathExact, PathPrefix, PathRegex }) =>
      [PathExact, PathPrefix, PathRegex].filter((each) => each !== undefined).length <= 1 ||
      "PathExact, PathPrefix and PathRegex exclude each other; keep one",
    { toJsonSchema: () => [{}, true] }
  )
)

const Tokens = Schema.Struct({
  Providers: Schema.Array(Schema.Struct({
    Name: Schema.NonEmptyString,
    VerifyClaims: Schema.optionalKey(
      Schema.Array(Schema.Struct({ Path: Schema.Array(Schema.NonEmptyString), Value: Schema.String }))
    )
  })).check(Schema.isMinLength(1, { message: "the list is empty; name a provider" }))
})

const callers = "Callers: web, team/web, team/*, peer:east/web, or * for everybody."

const scope = {
  from: Schema.optionalKey(OneOrMore.annotate({ description: `${callers} Absent: everybody.` })),
  except: Schema.optionalKey(OneOrMore.annotate({ description: `But not these. ${callers}` })),
  when: Schema.optionalKey(
    Requests.annotate({ description: "Requests, in the terms of a permission's HTTP. Absent: all of them." })
  ),
  tokens: Schema.optionalKey(
    Tokens.annotate({ description: "Requests with such tokens, in the terms of a permission's JWT." })
  )
}

const destinations = OneOrMore.annotate({
  description: "Services that are called: payments, team/payments, or * for all."
})
const one = Schema.NonEmptyString

const reach = Schema.Struct({ ...scope, to: destinations })

export const kinds = ["never", "always", "only", "implies", "equivalent"] as const

export const Statement = Schema.Struct({
  name: Schema.optionalKey(
    Schema.NonEmptyString.annotate({ description: "For reports. Absent: the statement itself." })
  ),
  never: Schema.optionalKey(reach.annotate({ description: "None of these calls is allowed." })),
  always: Schema.optionalKey(reach.annotate({ description: "Every one of these calls is allowed." })),
  only: Schema.optionalKey(reach.annotate({ description: "These callers may; nobody else does." })),
  implies: Schema.optionalKey(
    Schema.Struct({ ...scope, if: one, then: one }).annotate({
      description: "Whatever is allowed at the first service is allowed at the second."
    })
  ),
  equivalent: Schema.optionalKey(
    Schema.Struct({ ...scope, to: Schema.Tuple([one, one]) }).annotate({
      description: "The same is allowed at both services."
    })
  )
}).check(exactlyOne(kinds))

export type Reach = typeof reach.Type
