/** What an agent may be told, or may say, as it should not be: filters, config entries, answers. Each is read or refused in words. */
import { Result, Schema } from "effect"
import * as BexprFilter from "../../src/agent/BexprFilter.ts"
import * as ChainsOf from "../../src/agent/chain/ChainsOf.ts"
import * as AgentService from "../../src/consul/AgentService.ts"
import * as DiscoveryChain from "../../src/consul/DiscoveryChain.ts"
import * as Health from "../../src/consul/Health.ts"
import * as HttpRoutes from "../../src/route/HttpRoutes.ts"
import * as Generate from "./generate.ts"

export interface Outcome {
  readonly runs: number
  /** Inputs that were understood. */
  readonly taken: number
  readonly differences: ReadonlyArray<string>
}

/** An input takes so long at most, in milliseconds. */
const patience = 2000

/** Reads one input. Whether it was understood. */
type Reader = (next: Generate.Random) => { readonly input: unknown; readonly read: () => boolean }

const filters = [
  "Service.Tags contains \"a\"",
  "Service.Meta.version == `v1`",
  "not (Node.Meta[\"a b\"] != \"\")",
  "\"a\" in Service.Tags or Checks is empty",
  "Checks.Status == \"passing\" and Service.Port == 80",
  "Service.ID matches \"^a+$\"",
  "Service.Weights.Passing != -1",
  "Service.Proxy.Upstreams is not empty",
  "((Service.Address == \"\"))"
]

const entry = Schema.decodeUnknownResult(Schema.toCodecGoJson(Health.ServiceEntry))
const sample = Result.getOrThrow(
  entry({ Node: { Node: "n" }, Service: { ID: "a1", Service: "a", Tags: ["a"], Meta: { version: "v1" } } })
)

const filter: Reader = (next) => {
  let input = Generate.pick(next, filters)
  if (next() < 0.3) input += ` ${Generate.pick(next, ["and", "or", ""])} ${Generate.pick(next, filters)}`
  if (next() < 0.02) input = `${"(".repeat(20_000)}${input}`
  if (next() < 0.02) input = `${"not ".repeat(20_000)}${input}`
  for (let left = Math.floor(next() * 4); left > 0; left--) input = Generate.mutate(next, input)
  return {
    input,
    read: () => {
      const compiled = BexprFilter.compile(input, Health.ServiceEntry)
      if (Result.isFailure(compiled)) return BexprFilter.describe(compiled.failure) === ""
      compiled.success(sample)
      return true
    }
  }
}

const names = ["a", "b", "c", "A", ""]
const subsets = ["v1", "v2", ""]

const destination = (next: Generate.Random): Record<string, unknown> => ({
  Service: Generate.pick(next, names),
  ServiceSubset: Generate.pick(next, subsets),
  PrefixRewrite: Generate.pick(next, ["", "/", "/x y", "//"]),
  RequestTimeout: Generate.pick(next, ["1s", "0s", "-1s", "1h", "x"]),
  NumRetries: Generate.pick(next, [0, 3, -1])
})

const entries: Record<string, (next: Generate.Random) => Record<string, unknown>> = {
  "service-defaults": (next) => ({ Protocol: Generate.pick(next, ["http", "grpc", "tcp", "http2", "", "x"]) }),
  "service-router": (next) => ({
    Routes: Array.from({ length: Math.floor(next() * 4) }, () => ({
      Match: {
        HTTP: Generate.pick(next, [
          { PathPrefix: "/a" },
          { PathExact: "/a" },
          { PathRegex: "(a|b)+[" },
          { PathRegex: "(a+)+$" },
          { Header: [{ Name: "x", Regex: ".*" }] },
          { QueryParam: [{ Name: "q", Present: true }] },
          { Methods: ["GET"] },
          {}
        ])
      },
      Destination: destination(next)
    }))
  }),
  "service-splitter": (next) => ({
    Splits: Array.from({ length: 1 + Math.floor(next() * 3) }, () => ({
      Weight: Generate.pick(next, [100, 50, 33.33, 0, -1, 1000]),
      Service: Generate.pick(next, names),
      ServiceSubset: Generate.pick(next, subsets)
    }))
  }),
  "service-resolver": (next) => ({
    DefaultSubset: Generate.pick(next, subsets),
    Subsets: { v1: { Filter: Generate.pick(next, filters) }, v2: { OnlyPassing: true } },
    ...(next() < 0.3 ? { Redirect: { Service: Generate.pick(next, names) } } : {}),
    ...(next() < 0.3 ? { Failover: { "*": { Service: Generate.pick(next, names) } } } : {}),
    LoadBalancer: { Policy: Generate.pick(next, ["ring_hash", "maglev", "random", "x", ""]) }
  })
}

const kinds = Object.keys(entries)

const entryOf = (next: Generate.Random): Schema.JsonObject => {
  const kind = Generate.pick(next, kinds)
  const made = { Kind: kind, Name: Generate.pick(next, names), ...entries[kind]!(next) }
  const changed = next() < 0.3 ? Generate.mutateJson(next, made) : made
  return { ...made, ...(typeof changed === "object" ? changed : {}) } as Schema.JsonObject
}

const chain: Reader = (next) => {
  const defaults = ["a", "b", "c"].map((Name) => ({ Kind: "service-defaults", Name, Protocol: "http" }))
  const input: ReadonlyArray<Schema.JsonObject> = [
    ...defaults,
    ...Array.from({ length: 1 + Math.floor(next() * 4) }, () => entryOf(next))
  ]
  return {
    input,
    read: () => {
      const chains = ChainsOf.make(input)
      if (Result.isFailure(chains)) return false
      for (const name of ["a", "b", "c"]) {
        const compiled = chains.success(name)
        if (Result.isSuccess(compiled)) HttpRoutes.compile(compiled.success)
      }
      return true
    }
  }
}

const chainCodec = Schema.toCodecGoJson(DiscoveryChain.Chain)
const chainAnswer = Schema.encodeUnknownSync(chainCodec)(
  Result.getOrThrow(
    Result.getOrThrow(ChainsOf.make([
      ...["a", "b"].map((Name) => ({ Kind: "service-defaults", Name, Protocol: "http" })),
      {
        Kind: "service-router",
        Name: "a",
        Routes: [{ Match: { HTTP: { PathPrefix: "/b" } }, Destination: { Service: "b", NumRetries: 2 } }]
      },
      { Kind: "service-splitter", Name: "b", Splits: [{ Weight: 60 }, { Weight: 40, Service: "a" }] },
      { Kind: "service-resolver", Name: "b", Failover: { "*": { Service: "a" } } }
    ].filter(({ Kind }) => Kind !== "service-splitter")))("a")
  )
)

const readChain = Schema.decodeUnknownResult(chainCodec)
const readService = Schema.decodeUnknownResult(Schema.toCodecGoJson(AgentService.AgentService))

const instance = {
  Node: { Node: "n", Address: "127.0.0.1", Meta: null },
  Service: { ID: "a1", Service: "a", Port: 80, Tags: null, Proxy: { Upstreams: [{ DestinationName: "b" }] } },
  Checks: [{ Status: "passing", CheckID: "c" }]
}

const answer: Reader = (next) => {
  let input: unknown = Generate.pick(next, [chainAnswer, instance, instance.Service])
  for (let left = 1 + Math.floor(next() * 3); left > 0; left--) input = Generate.mutateJson(next, input)
  return {
    input,
    read: () => {
      const compiled = Result.map(readChain(input), HttpRoutes.compile)
      const [instance, service] = [entry(input), readService(input)]
      return Result.isSuccess(compiled) || Result.isSuccess(instance) || Result.isSuccess(service)
    }
  }
}

export const readers = { filter, chain, answer }

/** Until `isOver`, or the first hundred inputs that are neither read nor refused. */
export const run = (reader: Reader, seed: number, isOver: (runs: number) => boolean): Outcome => {
  const next = Generate.random(seed)
  const differences: Array<string> = []
  let [runs, taken] = [0, 0]
  for (; !isOver(runs) && differences.length < 100; runs++) {
    const { input, read } = reader(next)
    const since = performance.now()
    try {
      if (read()) taken++
    } catch (cause) {
      differences.push(
        `${JSON.stringify(input).slice(0, 2000)}: ${cause instanceof Error ? cause.stack : String(cause)}`
      )
    }
    if (performance.now() - since > patience) differences.push(`${JSON.stringify(input).slice(0, 2000)} takes too long`)
  }
  return { runs, taken, differences }
}
