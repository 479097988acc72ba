/** Exchanges recorded from a real Consul 1.10 agent. */
import { Schema } from "effect"
import { readdirSync, readFileSync } from "node:fs"

const Exchange = Schema.Struct({
  note: Schema.optionalKey(Schema.String),
  request: Schema.Struct({
    method: Schema.Literals(["GET", "PUT", "POST", "DELETE"]),
    path: Schema.String,
    body: Schema.optionalKey(Schema.Json)
  }),
  status: Schema.Finite,
  headers: Schema.Record(Schema.String, Schema.String),
  body: Schema.Json
})
export interface Exchange extends Schema.Schema.Type<typeof Exchange> {}

const Recording = Schema.Struct({ name: Schema.String, about: Schema.String, exchanges: Schema.Array(Exchange) })
export interface Recording extends Schema.Schema.Type<typeof Recording> {}

const folder = new URL("../fixtures/consul-1.10/", import.meta.url)

export const load = (name: string): Recording =>
  Schema.decodeSync(Schema.fromJsonString(Recording))(readFileSync(new URL(`${name}.json`, folder), "utf8"))

export const all: ReadonlyArray<Recording> = readdirSync(folder).filter((file) => file.endsWith(".json")).sort().map((
  file
) => load(file.replace(/\.json$/, "")))

/** The body as it went over the wire. */
export const bodyText = ({ body, headers }: Exchange): string =>
  headers["content-type"] === "application/json" ? JSON.stringify(body) : String(body)

export const title = ({ note, request }: Exchange): string =>
  `${request.method} ${decodeURIComponent(request.path)}${note === undefined ? "" : ` (${note})`}`
