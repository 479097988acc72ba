/** Intentions for tests: the decision vectors, generators over a small alphabet, and a slow evaluator that reads like the rules. */
import { Schema } from "effect"
import { Arbitrary } from "effect"
import * as Fs from "node:fs"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Intention from "../../src/intention/Intention.ts"

export const trustDomain = "3f9a5f0e-6c1e-4f7b-9f53-0c7a51b1d001.consul"

const Source = Schema.Struct({
  trustDomain: Schema.String,
  namespace: Schema.String,
  partition: Schema.String,
  datacenter: Schema.String,
  name: Schema.String
})

const Http = Schema.Struct({
  method: Schema.String,
  path: Schema.String,
  headers: Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Array(Schema.String)]))
})

const Vector = Schema.Struct({
  name: Schema.String,
  defaultPolicy: Schema.Literals(["allow", "deny"]),
  destination: Schema.Struct({
    namespace: Schema.String,
    partition: Schema.String,
    name: Schema.String,
    protocol: Schema.String
  }),
  intentions: Schema.Array(Intention.Intention),
  requests: Schema.Array(Schema.Struct({
    source: Source,
    http: Schema.NullOr(Http),
    expect: Schema.Literals(["allow", "deny"]),
    why: Schema.String
  }))
})

/** `fixtures/vectors/intentions.json`, read through the schema of the match result. */
export const vectors = Schema.decodeUnknownSync(Schema.Array(Vector))(
  JSON.parse(Fs.readFileSync(new URL("../fixtures/vectors/intentions.json", import.meta.url), "utf8"))
)

export const identity = (source: (typeof Source)["Type"]): SpiffeId.Service =>
  SpiffeId.service({ ...source, service: source.name })

/** The identity of a service in the default namespace of the local mesh. */
export const local = (service: string, rest?: Partial<SpiffeId.Service>): SpiffeId.Service => ({
  ...SpiffeId.service({ trustDomain, datacenter: "dc1", service }),
  ...rest
})

// Few names, so that generated intentions overlap instead of missing each other.
const Name = Schema.Literals(["web", "api", "db"])
const Place = Schema.Literals(["default", "team"])
const Part = Schema.Literals(["default", "west"])

const Names = Schema.Struct({
  SourcePartition: Part,
  SourceNS: Schema.Union([Schema.Literal("*"), Place]),
  SourceName: Schema.Union([Schema.Literal("*"), Name]),
  DestinationNS: Schema.Union([Schema.Literal("*"), Place]),
  DestinationName: Schema.Union([Schema.Literal("*"), Schema.Literal("api"), Schema.Literal("db")]),
  Action: Schema.Literals(["allow", "deny"])
})

/** Any set of L4 intentions that Consul would store: an exact name never follows a namespace `*`, names are unique. */
export const intentions = Arbitrary.schema(Schema.Array(Names)).pipe(
  Arbitrary.map((list) => {
    const unique = new Map<string, Intention.Intention>()
    for (const { Action, ...names } of list) {
      const SourceName = names.SourceNS === "*" ? "*" : names.SourceName
      const DestinationName = names.DestinationNS === "*" ? "*" : names.DestinationName
      const intention = Intention.make(SourceName, DestinationName, Action, {
        SourceNS: names.SourceNS,
        SourcePartition: names.SourcePartition,
        DestinationNS: names.DestinationNS
      })
      unique.set(
        [names.SourcePartition, names.SourceNS, SourceName, names.DestinationNS, DestinationName].join(),
        intention
      )
    }
    return [...unique.values()]
  })
)

export const callers = Arbitrary.schema(Schema.Struct({ service: Name, namespace: Place, partition: Part })).pipe(
  Arbitrary.map((names) => local(names.service, names))
)

export const defaultPolicy = Arbitrary.schema(Schema.Literals(["allow", "deny"]))

/** The table of the specification, written out. Best first. */
const ranks = [
  "exact exact exact exact",
  "exact * exact exact",
  "* * exact exact",
  "exact exact exact *",
  "exact * exact *",
  "* * exact *",
  "exact exact * *",
  "exact * * *",
  "* * * *"
]

const shape = (name: string) => name === "*" ? "*" : "exact"

/** Walks every row of the table and every intention. Answers the intention that decides, for a destination in `default`. */
export const slowly = (
  intentions: ReadonlyArray<Intention.Intention>,
  source: SpiffeId.Service,
  destination: string
): Intention.Intention | undefined => {
  for (const rank of ranks) {
    for (const intention of intentions) {
      const { SourceNS, SourceName, DestinationNS, DestinationName, SourcePartition = "default" } = intention
      if ([SourceNS, SourceName, DestinationNS, DestinationName].map(shape).join(" ") !== rank) continue
      if (source.trustDomain !== trustDomain || SourcePartition !== source.partition) continue
      if (SourceNS !== "*" && SourceNS !== source.namespace) continue
      if (SourceName !== "*" && SourceName !== source.service) continue
      if (DestinationNS !== "*" && DestinationNS !== "default") continue
      if (DestinationName !== "*" && DestinationName !== destination) continue
      return intention
    }
  }
  return undefined
}
