/**
 * Config entries as they travel: an envelope that is known, and fields that depend on the kind.
 *
 * `Hash` is dropped: it is a uint64 that JSON numbers can not hold, and nothing needs it.
 */
import { Schema, SchemaGetter } from "effect"

const Envelope = Schema.StructWithRest(
  Schema.Struct({
    Kind: Schema.String,
    /** Absent on the `mesh` entry. */
    Name: Schema.optionalKey(Schema.String),
    CreateIndex: Schema.optionalKey(Schema.Finite),
    ModifyIndex: Schema.optionalKey(Schema.Finite)
  }),
  [Schema.Record(Schema.String, Schema.Json)]
)

export const ConfigEntry = Envelope.pipe(
  Schema.decodeTo(Schema.toType(Envelope), {
    decode: SchemaGetter.transform(({ Hash: _hash, ...entry }) => entry),
    encode: SchemaGetter.passthrough()
  })
)
export type ConfigEntry = typeof ConfigEntry.Type

/** The kinds an agent of today accepts. */
export const kinds = [
  "service-defaults",
  "proxy-defaults",
  "service-router",
  "service-splitter",
  "service-resolver",
  "ingress-gateway",
  "terminating-gateway",
  "service-intentions",
  "mesh",
  "exported-services",
  "sameness-group",
  "api-gateway",
  "bound-api-gateway",
  "inline-certificate",
  "file-system-certificate",
  "http-route",
  "tcp-route",
  "jwt-provider"
] as const
export type Kind = (typeof kinds)[number]
