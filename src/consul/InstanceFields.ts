/** What an instance is registered with, at its own agent or in the catalog. */
import { Schema } from "effect"

const text = Schema.optionalKey(Schema.String)
const number = Schema.optionalKey(Schema.Finite)

export const registered = {
  Tags: Schema.optionalKey(Schema.Array(Schema.String)),
  Address: text,
  TaggedAddresses: Schema.optionalKey(Schema.Record(Schema.String, Schema.Struct({ Address: text, Port: number }))),
  Meta: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  Port: number,
  SocketPath: text,
  Weights: Schema.optionalKey(Schema.Struct({ Passing: number, Warning: number })),
  EnableTagOverride: Schema.optionalKey(Schema.Boolean)
}
