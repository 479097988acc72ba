/**
 * From bytes to the JSON form of a message, and the names of all that was not understood. Whoever acts on a message must
 * look at `unknown` first: a field that is not known may well be the one that denies.
 */
import { type DescField, type DescMessage, fromBinary, type JsonValue, toJson } from "@bufbuild/protobuf"
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect"
import type { Any } from "@bufbuild/protobuf/wkt"
import type { Message, Name } from "./Messages.ts"
import { descriptor, registry } from "./Registry.ts"

export interface Decoded<N extends Name> {
  readonly message: Message<N>
  /** Where what was not understood stands, for people: `filter_chains[0].filters[1]: field 12`. Empty where all was. */
  readonly unknown: ReadonlyArray<string>
}

/** Throws where the bytes are no message at all. */
export const decode = <N extends Name>(name: N, bytes: Uint8Array): Decoded<N> => {
  const schema = descriptor(name)
  const unknown: Array<string> = []
  const message = plain(reflect(schema, fromBinary(schema, bytes)), "", unknown)
  return { message: message as Message<N>, unknown }
}

/**
 * The message in an `Any`. One of a type that is not known becomes its type and its bytes, and is named.
 */
export const decodeAny = (any: { readonly typeUrl: string; readonly value: Uint8Array }): {
  readonly message: { readonly "@type": string; readonly [key: string]: unknown }
  readonly unknown: ReadonlyArray<string>
} => {
  const unknown: Array<string> = []
  return { message: unpacked(any, "", unknown), unknown }
}

const unpacked = (any: Pick<Any, "typeUrl" | "value">, path: string, unknown: Array<string>) => {
  const message = open(any, path, unknown)
  if (message === undefined) {
    return { "@type": any.typeUrl, value: Buffer.from(any.value).toString("base64") }
  }
  const value = isWellKnown(message.desc)
    ? { value: toJson(message.desc, message.message, { registry: registry() }) }
    : plain(message, path, unknown)
  return { "@type": any.typeUrl, ...value }
}

const open = (any: Pick<Any, "typeUrl" | "value">, path: string, unknown: Array<string>) => {
  const name = any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1)
  const schema = registry().getMessage(name)
  if (schema === undefined) {
    unknown.push(`${at(path)}type ${name === "" ? "without a name" : name}`)
    return undefined
  }
  try {
    return reflect(schema, fromBinary(schema, any.value))
  } catch {
    unknown.push(`${at(path)}bytes that are no ${name}`)
    return undefined
  }
}

const isWellKnown = (schema: DescMessage): boolean => schema.typeName.startsWith("google.protobuf.")

const plain = (message: ReflectMessage, path: string, unknown: Array<string>): Record<string, unknown> => {
  for (const { no } of message.getUnknown() ?? []) unknown.push(`${at(path)}field ${no}`)
  const made: Record<string, unknown> = {}
  for (const field of message.fields) {
    if (message.isSet(field)) made[field.name] = value(message, field, inside(path, field.name), unknown)
  }
  return made
}

const value = (message: ReflectMessage, field: DescField, path: string, unknown: Array<string>): unknown => {
  switch (field.fieldKind) {
    case "list":
      return [...message.get(field)].map((item, index) => single(field, item, `${path}[${index}]`, unknown))
    case "map":
      return Object.fromEntries(
        [...message.get(field)].map(([key, item]) => [key, single(field, item, `${path}[${String(key)}]`, unknown)])
      )
    default:
      return single(field, message.get(field), path, unknown)
  }
}

const single = (field: DescField, value: unknown, path: string, unknown: Array<string>): unknown => {
  if (field.message !== undefined) {
    const message = value as ReflectMessage
    if (field.message.typeName === "google.protobuf.Any") return unpacked(message.message as Any, path, unknown)
    return isWellKnown(field.message)
      ? toJson(message.desc, message.message, { registry: registry() })
      : plain(message, path, unknown)
  }
  if (field.enum !== undefined) {
    const known = field.enum.value[value as number]
    if (known === undefined) unknown.push(`${at(path)}value ${String(value)}`)
    return known?.name ?? value
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64")
  if (typeof value === "bigint") return String(value)
  return value as JsonValue
}

const inside = (path: string, field: string): string => path === "" ? field : `${path}.${field}`

const at = (path: string): string => path === "" ? "" : `${path}: `
