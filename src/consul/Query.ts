/** The query parameters of Consul's HTTP API, grouped as the endpoints take them. */
import { Option, Schema, SchemaGetter } from "effect"

/** Present or not: Consul does not look at the value, so `false` must not be sent at all. */
const presence = Schema.optionalKey(Schema.String).pipe(
  Schema.decodeTo(Schema.optionalKey(Schema.Boolean), {
    decode: SchemaGetter.transformOptional<boolean, string>(Option.map(() => true)),
    encode: SchemaGetter.transformOptional<string, boolean>((value) =>
      Option.map(Option.filter(value, (present) => present), () => "")
    )
  })
)

const GoBoolean = Schema.String.check(Schema.isPattern(/^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)?$/))

/** Present without a value means true; otherwise a boolean as Go's `strconv.ParseBool` reads it. */
const switchable = Schema.optionalKey(GoBoolean).pipe(
  Schema.decodeTo(Schema.optionalKey(Schema.Boolean), {
    decode: SchemaGetter.transformOptional<boolean, string>(Option.map((value) => !/^[0fF]/.test(value))),
    encode: SchemaGetter.transformOptional<string, boolean>((value) =>
      Option.map(Option.filter(value, (present) => present), () => "")
    )
  })
)

const text = Schema.optionalKey(Schema.String)

/** Where to ask. `ns` and `partition` exist in Consul Enterprise only; others refuse them. */
export const scope = { dc: text, ns: text, partition: text }

/** Whom to ask. `cached` reads from the agent's cache, which keeps itself current. */
export const consistency = { stale: presence, consistent: presence, cached: presence }

/** `index` and `wait` (a Go duration, `"30s"`) make the read wait for a change. Always send `wait` with `index`. */
export const blocking = { index: Schema.optionalKey(Schema.BigInt), wait: text }

/** Like `blocking`, for the one endpoint that goes by the hash of its answer. */
export const hashBlocking = { hash: text, wait: text }

/** A bexpr expression, such as `Service.Meta.version == v2`. */
export const filter = { filter: text }

/** Reads of the catalog. `near` is a node name or `_agent`; `node-meta` is `key:value`. */
export const catalog = {
  ...scope,
  ...consistency,
  ...blocking,
  ...filter,
  near: text,
  "node-meta": Schema.optionalKey(Schema.Array(Schema.String))
}

/** Reads of the instances of a service. */
export const instances = {
  ...catalog,
  tag: Schema.optionalKey(Schema.Array(Schema.String)),
  peer: text,
  sg: text,
  "merge-central-config": presence
}

export const health = { ...instances, passing: switchable }

export { presence, switchable, text }
