/**
 * A message of Envoy's configuration in protobuf's JSON (names as in the `.proto`, `Any` opened), read field by field. What nobody has
 * asked for is what is not understood: it is named, never passed over. Whoever reads decides what that closes.
 *
 *     Fields.read("cluster api", json, (fields) => ({ name: fields.text("name") }))   ▶ { value, flaws }
 */
import type { Schema } from "effect"

export type Json = { readonly [key: string]: Schema.Json }

export interface Fields {
  /** For people: `cluster api › transport_socket`. */
  readonly path: string
  /** Empty where it is absent. */
  readonly text: (name: string) => string
  readonly number: (name: string) => number | undefined
  /** False where it is absent. */
  readonly flag: (name: string) => boolean
  /** Undefined where it is absent: for those that mean something else then. */
  readonly choice: (name: string) => boolean | undefined
  /** Of a duration. */
  readonly millis: (name: string) => number | undefined
  readonly texts: (name: string) => ReadonlyArray<string>
  readonly numbers: (name: string) => ReadonlyArray<number>
  readonly one: (name: string) => Fields | undefined
  readonly many: (name: string) => ReadonlyArray<Fields>
  /** Of a map. */
  readonly entries: (name: string) => ReadonlyArray<readonly [string, Fields]>
  /** A free value, such as a `Struct`. */
  readonly json: (name: string) => Schema.Json | undefined
  /** The name of the message in an `Any`: `envoy.config.cluster.v3.Cluster`. */
  readonly type: () => string
  /** The name of the one field of these that is there, if one is. */
  readonly which: <const Names extends ReadonlyArray<string>>(...names: Names) => Names[number] | undefined
  /** Leaves these out of what is not understood: they change nothing here. */
  readonly skip: (...names: ReadonlyArray<string>) => void
  /** Something is not understood. */
  readonly flaw: (what: string) => void
}

export interface Read<A> {
  readonly value: A
  /** What is not understood, a phrase for each. */
  readonly flaws: ReadonlyArray<string>
}

export const read = <A>(path: string, json: Json, f: (fields: Fields) => A): Read<A> => {
  const { fields, flaws } = make(path, json)
  const value = f(fields)
  return { value, flaws: flaws() }
}

const make = (path: string, json: Json): { readonly fields: Fields; readonly flaws: () => ReadonlyArray<string> } => {
  const unread = new Set(Object.keys(json))
  const problems: Array<() => ReadonlyArray<string>> = []
  const problem = (text: string) => problems.push(() => [text])

  const take = (name: string): Schema.Json | undefined => {
    unread.delete(name)
    return json[name] ?? undefined
  }
  const typed = <A>(name: string, wanted: string, is: (value: Schema.Json) => A | undefined): A | undefined => {
    const value = take(name)
    if (value === undefined) return undefined
    const found = is(value)
    if (found === undefined) problem(`${path} › ${name} is not ${wanted}`)
    return found
  }
  const child = (name: string, value: Json): Fields => {
    const inner = make(`${path} › ${name}`, value)
    problems.push(inner.flaws)
    return inner.fields
  }
  const list = <A>(name: string, of: (value: Schema.Json, at: string) => A | undefined): ReadonlyArray<A> =>
    (typed(name, "a list", (value) => Array.isArray(value) ? value as ReadonlyArray<Schema.Json> : undefined) ?? [])
      .flatMap((value, i) => {
        const found = of(value, `${name} ${i + 1}`)
        if (found === undefined) problem(`${path} › ${name} ${i + 1} is of another kind than expected`)
        return found === undefined ? [] : [found]
      })

  return {
    flaws: () => [
      ...problems.flatMap((flaws) => flaws()),
      ...Array.from(unread, (name) => `${path} › ${name}`)
    ],
    fields: {
      path,
      text: (name) => typed(name, "a text", (value) => typeof value === "string" ? value : undefined) ?? "",
      number: (name) => typed(name, "a number", numberOf),
      flag: (name) => typed(name, "true or false", (value) => typeof value === "boolean" ? value : undefined) ?? false,
      choice: (name) => typed(name, "true or false", (value) => typeof value === "boolean" ? value : undefined),
      millis: (name) => typed(name, "a duration", (value) => typeof value === "string" ? millisOf(value) : undefined),
      texts: (name) => list(name, (value) => typeof value === "string" ? value : undefined),
      numbers: (name) => list(name, numberOf),
      one: (name) => {
        const value = typed(name, "a message", asMessage)
        return value === undefined ? undefined : child(name, value)
      },
      many: (name) =>
        list(name, (value, at) => {
          const message = asMessage(value)
          return message === undefined ? undefined : child(at, message)
        }),
      entries: (name) =>
        Object.entries(typed(name, "a map", asMessage) ?? {}).flatMap(([key, value]) => {
          const message = asMessage(value)
          if (message === undefined) problem(`${path} › ${name} › ${key} is not a message`)
          return message === undefined ? [] : [[key, child(`${name} › ${key}`, message)] as const]
        }),
      json: take,
      type: () => {
        const url = take("@type")
        return typeof url === "string" ? url.slice(url.lastIndexOf("/") + 1) : ""
      },
      which: (...names) => names.find((name) => json[name] !== undefined && json[name] !== null),
      skip: (...names) => names.forEach((name) => unread.delete(name)),
      flaw: (what) => problem(`${path}: ${what}`)
    }
  }
}

const asMessage = (value: Schema.Json): Json | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value as Json : undefined

/** Numbers of 64 bits are texts. */
const numberOf = (value: Schema.Json): number | undefined => {
  if (typeof value === "number") return value
  return typeof value === "string" && /^-?\d{1,20}$/.test(value) ? Number(value) : undefined
}

/** `0.400s`. */
const millisOf = (text: string): number | undefined =>
  /^-?\d{1,12}(\.\d{1,9})?s$/.test(text) ? Math.round(Number(text.slice(0, -1)) * 1e6) / 1e3 : undefined
