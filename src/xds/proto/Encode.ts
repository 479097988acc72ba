/** From the JSON form of a message to its bytes. */
import { fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf"
import type { AnyMessage, FullName, Message, Name } from "./Messages.ts"
import { fullName } from "./Packages.ts"
import { descriptor, registry } from "./Registry.ts"

/** `type.googleapis.com/envoy.config.cluster.v3.Cluster` for `cluster.Cluster`. */
export const typeUrl = <N extends Name>(name: N): `type.googleapis.com/${FullName<N>}` =>
  `type.googleapis.com/${fullName(name)}` as never

/** A message that stands where the field says `Any`. */
export const any = <N extends Name>(name: N, message: Message<N>): AnyMessage => ({
  "@type": typeUrl(name),
  ...(message as object)
})

/**
 * The bytes of a message. Throws on a field, an enum's value or an `@type` that the definitions do not have:
 * what can not be written whole is a bug of whoever made it.
 */
export const encode = <N extends Name>(name: N, message: Message<N>): Uint8Array => {
  const schema = descriptor(name)
  return toBinary(schema, fromJson(schema, present(message) as JsonValue, { registry: registry() }))
}

/** The message without the fields that are there and `undefined`. */
const present = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(present)
  if (typeof value !== "object" || value === null) return value
  const kept: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(value)) if (field !== undefined) kept[key] = present(field)
  return kept
}
