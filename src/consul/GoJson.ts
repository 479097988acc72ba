/**
 * Fields the way Go's encoding/json writes them.
 *
 * In Go a string, number, list or map is never missing: it is zero. On the wire the zero is spelled in several ways (the key is
 * absent, `null`, `""`, `[]`, `{}`), which vary with the version of Consul. So these fields read all of them as the one zero,
 * and write what today's Consul writes: the plain ones always, those of `omitEmpty` only when they are not zero.
 * A schema made of them becomes a codec with `Schema.toCodecGoJson`, which adds `null`.
 */
import { Effect, Option, Schema, SchemaGetter } from "effect"

/** A field that is always written, and reads as `zero` when it is absent. */
const written = <S extends Schema.Constraint>(schema: S, zero: S["Type"]) =>
  withZero(schema, zero, SchemaGetter.passthrough<S["Type"]>())

/** A field that is written only when it differs from its zero (`omitempty`). */
const omitted = <S extends Schema.Constraint>(schema: S, zero: S["Type"], isZero: (value: S["Type"]) => boolean) =>
  withZero(
    schema,
    zero,
    SchemaGetter.transformOptional<S["Type"], S["Type"]>(Option.filter((value) => !isZero(value)))
  )

const withZero = <S extends Schema.Constraint>(
  schema: S,
  zero: S["Type"],
  encode: SchemaGetter.Getter<S["Type"], S["Type"]>
) => {
  const decode = SchemaGetter.withDefault<S["Type"]>(Effect.succeed(zero))
  const field = Schema.optionalKey(schema).pipe(Schema.decodeTo(plain<S["Type"]>(schema), { decode, encode }))
  return Schema.withConstructorDefault<typeof field>(Effect.succeed(zero))(field)
}

/** The type side of a schema, without the variance that a generic one carries. */
const plain = <A>(schema: Schema.Constraint & { readonly Type: A }) =>
  Schema.toType(schema) as unknown as Schema.Codec<A> & Schema.WithoutConstructorDefault

/** The type checker cannot see through a record of an unknown value type that `{}` is one. */
const emptyMap = <S extends Schema.Constraint>() => ({}) as Schema.$Record<typeof Schema.String, S>["Type"]

/** `string` */
export const text = written(Schema.String, "")
/** `bool` */
export const flag = written(Schema.Boolean, false)
/** `int`, and `uint64` below 2^53 */
export const number = written(Schema.Finite, 0)
/** `[]T` */
export const list = <S extends Schema.Constraint>(item: S) => written(Schema.Array(item), [])
/** `map[string]T` */
export const map = <S extends Schema.Constraint>(value: S) =>
  written(Schema.Record(Schema.String, value), emptyMap<S>())
/** A struct by value: its zero is the struct of zeros. */
export const struct = <S extends Schema.Constraint>(schema: S, zero: S["Type"]) => written(schema, zero)

/** `string,omitempty` */
export const textOmitEmpty = omitted(Schema.String, "", (value) => value === "")
/** `bool,omitempty` */
export const flagOmitEmpty = omitted(Schema.Boolean, false, (value) => !value)
/** `int,omitempty` */
export const numberOmitEmpty = omitted(Schema.Finite, 0, (value) => value === 0)
/** `[]T,omitempty` */
export const listOmitEmpty = <S extends Schema.Constraint>(item: S) =>
  omitted(Schema.Array(item), [], (value) => value.length === 0)
/** `map[string]T,omitempty` */
export const mapOmitEmpty = <S extends Schema.Constraint>(value: S) =>
  omitted(Schema.Record(Schema.String, value), emptyMap<S>(), (value) => Object.keys(value).length === 0)
/** A list whose zero is written as `null`: a nil slice. */
export const nilList = <S extends Schema.Constraint>(item: S) =>
  Schema.Array(Schema.toType(item)).pipe(
    Schema.encodeTo(Schema.NullOr(Schema.Array(item)), {
      decode: SchemaGetter.transform((value) => value ?? []),
      encode: SchemaGetter.transform((value) => value.length === 0 ? null : value)
    })
  )
/** A free map, kept as it is: `map[string]interface{}`. */
export const opaque = mapOmitEmpty(Schema.Json)
/** A pointer: absent when nil. */
export const pointer = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(schema)

/** Raft indexes, on everything the catalog and the config entries store. */
export const indexes = { CreateIndex: number, ModifyIndex: number }
export const indexesOmitEmpty = { CreateIndex: numberOmitEmpty, ModifyIndex: numberOmitEmpty }
