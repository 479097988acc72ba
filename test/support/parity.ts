/** What clients and applications saw through sidecars of Envoy under a real Consul 1.21. */
import { Result, Schema } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import * as ChainsOf from "../../src/agent/chain/ChainsOf.ts"
import type * as DiscoveryChain from "../../src/consul/DiscoveryChain.ts"

const Request = Schema.Struct({
  to: Schema.String,
  method: Schema.optionalKey(Schema.String),
  target: Schema.optionalKey(Schema.String),
  headers: Schema.optionalKey(Schema.Array(Schema.String)),
  host: Schema.optionalKey(Schema.String),
  body: Schema.optionalKey(Schema.String),
  chunks: Schema.optionalKey(Schema.Array(Schema.String)),
  bodySize: Schema.optionalKey(Schema.Finite),
  repeat: Schema.optionalKey(Schema.Finite),
  /** Bytes, and pauses in milliseconds. */
  raw: Schema.optionalKey(Schema.Union([
    Schema.String,
    Schema.Array(Schema.Union([Schema.String, Schema.Finite]))
  ])),
  expect: Schema.Struct({
    response: Schema.optionalKey(Schema.NullOr(Schema.Struct({
      status: Schema.Finite,
      headers: Schema.Array(Schema.String),
      body: Schema.optionalKey(Schema.String)
    }))),
    closed: Schema.optionalKey(Schema.Boolean),
    counts: Schema.optionalKey(Schema.Record(Schema.String, Schema.Finite)),
    tolerance: Schema.optionalKey(Schema.Finite),
    seen: Schema.optionalKey(Schema.Array(Schema.Struct({
      instance: Schema.String,
      target: Schema.String,
      headers: Schema.Array(Schema.String),
      bodyBytes: Schema.optionalKey(Schema.Finite)
    })))
  })
})
export interface Request extends Schema.Schema.Type<typeof Request> {}

const Scenario = Schema.Struct({
  name: Schema.String,
  config: Schema.optionalKey(Schema.Array(Schema.JsonObject)),
  requests: Schema.Array(Request)
})
export interface Scenario extends Schema.Schema.Type<typeof Scenario> {}

const Chains = Schema.Struct({
  scenario: Schema.String,
  config: Schema.Array(Schema.JsonObject),
  chains: Schema.Array(Schema.JsonObject)
})
export interface Chains extends Schema.Schema.Type<typeof Chains> {}

const folder = new URL("../fixtures/parity/", import.meta.url)
const read = <S extends Schema.ConstraintDecoder<unknown>>(schema: S, file: string): S["Type"] =>
  Schema.decodeUnknownSync(schema)(JSON.parse(readFileSync(new URL(file, folder), "utf8")))

export const scenarios = (area: string): ReadonlyArray<Scenario> => read(Schema.Array(Scenario), `${area}.json`)

export const chains: ReadonlyArray<Chains> = readdirSync(new URL("chains/", folder)).sort().map((file) =>
  read(Chains, `chains/${file}`)
)

const base = read(Schema.Struct({ config: Schema.Array(Schema.JsonObject) }), "topology.json").config

const trustDomain = "11111111-2222-3333-4444-555555555555.consul"

/** The chain of a service as the development agent compiles it from the entries of a scenario. */
export const compile = (service: string, config: ReadonlyArray<Schema.JsonObject>): DiscoveryChain.Chain => {
  const chains = Result.getOrThrow(ChainsOf.make([...entriesOf(config).values()], { trustDomain }))
  return Result.getOrThrow(chains(service))
}

/** Marks what differs from one run to another as the recordings do. */
export const normalized = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value).replaceAll(trustDomain, "<trust-domain>"))

/** Those that the scenario says to merge change the ones that every scenario starts from, the others replace them. */
export const entriesOf = (config: ReadonlyArray<Schema.JsonObject>): ReadonlyMap<string, Schema.JsonObject> => {
  const entries = new Map(base.map((entry) => [nameOf(entry), entry]))
  for (const { Merge, ...entry } of config) {
    entries.set(nameOf(entry), Merge === true ? { ...entries.get(nameOf(entry)), ...entry } : entry)
  }
  return entries
}

const nameOf = ({ Kind, Name }: Schema.JsonObject): string => `${String(Kind)}/${String(Name ?? "")}`
