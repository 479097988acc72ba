/** Scenarios as they were recorded: what is configured, what is asked, and what clients, applications and logs saw then. */
import { Schema } from "effect"
import { readdirSync, readFileSync } from "node:fs"

/** `Name: value`, or the two apart. */
const HeaderLine = Schema.Union([Schema.String, Schema.Tuple([Schema.String, Schema.String])])

export const Request = Schema.Struct({
  to: Schema.String,
  method: Schema.optionalKey(Schema.String),
  target: Schema.optionalKey(Schema.String),
  version: Schema.optionalKey(Schema.String),
  /** Null: no such line. */
  host: Schema.optionalKey(Schema.NullOr(Schema.String)),
  headers: Schema.optionalKey(Schema.Array(HeaderLine)),
  headerCount: Schema.optionalKey(Schema.Finite),
  headerSize: Schema.optionalKey(Schema.Finite),
  targetSize: Schema.optionalKey(Schema.Finite),
  body: Schema.optionalKey(Schema.String),
  bodySize: Schema.optionalKey(Schema.Finite),
  chunks: Schema.optionalKey(Schema.Array(Schema.String)),
  trailers: Schema.optionalKey(Schema.Array(HeaderLine)),
  /** Bytes as latin1, pauses in milliseconds, and `FIN`. */
  raw: Schema.optionalKey(
    Schema.Union([Schema.String, Schema.Array(Schema.Union([Schema.String, Schema.Finite]))])
  ),
  h2: Schema.optionalKey(Schema.Boolean),
  grpc: Schema.optionalKey(Schema.String),
  tunnel: Schema.optionalKey(Schema.String),
  waitMs: Schema.optionalKey(Schema.Finite),
  /** How long to listen on after an answer. */
  lingerMs: Schema.optionalKey(Schema.Finite),
  /** How long to wait before the next request. */
  thenMs: Schema.optionalKey(Schema.Finite),
  repeat: Schema.optionalKey(Schema.Finite),
  /** Of a repetition: who answered, in order. */
  sequence: Schema.optionalKey(Schema.Boolean),
  tolerance: Schema.optionalKey(Schema.Finite),
  parallel: Schema.optionalKey(Schema.Finite),
  affinity: Schema.optionalKey(Schema.Array(Schema.String)),
  acrossKeys: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Of a repetition: how many instances answered. */
  distinct: Schema.optionalKey(Schema.Boolean),
  /** Which instance answered is not compared. */
  anyInstance: Schema.optionalKey(Schema.Boolean),
  /** The sidecars whose log lines were recorded. */
  accessLog: Schema.optionalKey(Schema.Array(Schema.String)),
  expect: Schema.JsonObject
})
export interface Request extends Schema.Schema.Type<typeof Request> {}

const Scenario = Schema.Struct({
  name: Schema.String,
  about: Schema.String,
  config: Schema.optionalKey(Schema.Array(Schema.JsonObject)),
  /** The status of checks by instance; passing where nothing is said. */
  health: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  defaultPolicy: Schema.optionalKey(Schema.Literals(["allow", "deny"])),
  requests: Schema.Array(Request)
})
export interface Scenario extends Schema.Schema.Type<typeof Scenario> {
  readonly area: string
}

/** `area/name`: what a scenario is called outside its file. */
export const titleOf = ({ area, name }: Scenario): string => `${area}/${name}`

const folder = new URL("../fixtures/parity/", import.meta.url)

/** Every scenario of every area, in order. */
export const scenarios = (): ReadonlyArray<Scenario> =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".json") && file !== "topology.json")
    .sort()
    .flatMap((file) => {
      const area = file.slice(0, -".json".length)
      return Schema.decodeUnknownSync(Schema.Array(Scenario))(read(file)).map((scenario) => ({ ...scenario, area }))
    })

/** What a file of the recordings holds. */
export const read = (file: string): unknown => JSON.parse(readFileSync(new URL(file, folder), "utf8"))

/** As it stands on the wire. */
export const lineOf = (line: string | readonly [string, string]): string =>
  typeof line === "string" ? line : `${line[0]}: ${line[1]}`
