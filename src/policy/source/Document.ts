/**
 * A file of a policy, read in a known shape as Consul's own decoders do: keys in any letter case and in snake case
 * (`path_prefix` is `PathPrefix`), one value for a list of one and the other way round, numbers and booleans for texts. No key
 * comes twice or is unknown. All problems are found, not just the first, each with its place.
 */
import * as GoWeak from "../../consul/GoWeak.ts"
import * as Origin from "../Origin.ts"
import * as Node from "../syntax/Node.ts"

export interface Problem extends Origin.Origin {
  /** What is wrong, and what to do. */
  readonly message: string
}

export const format = ({ column, file, line, message }: Problem): string => `${file}:${line}:${column}: ${message}`

export type Shape =
  | { readonly _tag: "Text" | "Boolean" | "Free" }
  | { readonly _tag: "List"; readonly item: Shape }
  /** `open`: other keys may be there too, and stay as they are. */
  | { readonly _tag: "Object"; readonly fields: { readonly [key: string]: Shape }; readonly open: boolean }

export const text: Shape = { _tag: "Text" }
export const boolean: Shape = { _tag: "Boolean" }
export const free: Shape = { _tag: "Free" }
export const list = (item: Shape): Shape => ({ _tag: "List", item })
export const object = (fields: { readonly [key: string]: Shape }): Shape => ({ _tag: "Object", fields, open: false })
export const open = (fields: { readonly [key: string]: Shape }): Shape => ({ _tag: "Object", fields, open: true })

export type Value = { readonly [key: string]: unknown }

export interface Reading {
  /** Unknown keys stay, for instance because a newer agent wrote them. */
  readonly lenient?: boolean
  /** As Kubernetes reads: each key in one spelling, `pathPrefix`, and each value of its own type. */
  readonly kubernetes?: boolean
}

export class Document {
  readonly file: string
  readonly roots: ReadonlyArray<Node.Node>
  readonly problems: Array<Problem> = []
  readonly #source: string
  /** Where the objects and their fields stand. */
  readonly #offsets = new WeakMap<object, Map<string, number>>()

  constructor(file: string, text: string, { mistakes, roots }: Node.Parsed) {
    this.file = file
    this.#source = text
    this.roots = roots
    for (const { message, offset } of mistakes) this.problem(offset, message)
    if (roots.length === 0 && mistakes.length === 0) {
      this.problem(0, "it is empty; write an entry, or remove the file")
    }
  }

  problem(offset: number, message: string): void {
    const problem = { ...this.place(offset), message }
    // The same text may be read in several shapes.
    if (!this.problems.some((known) => format(known) === format(problem))) this.problems.push(problem)
  }

  /** At a field of an object that `read` made, or at the object. */
  problemAt(value: object, key: string | undefined, message: string): void {
    const offsets = this.#offsets.get(value)
    this.problem(offsets?.get(key ?? "") ?? offsets?.get("") ?? 0, message)
  }

  position(value: object): string {
    return Origin.format(this.origin(value))
  }

  /** Where an object that `read` made stands. */
  origin(value: object): Origin.Origin {
    return this.place(this.#offsets.get(value)?.get("") ?? 0)
  }

  place(offset: number): Origin.Origin {
    const before = this.#source.slice(0, offset).split("\n")
    return { file: this.file, line: before.length, column: before.at(-1)!.length + 1 }
  }

  /** `null` reads as absent, as Go has it. */
  read(node: Node.Node, shape: Shape, reading: Reading): unknown {
    if (node.type === "null") return undefined
    switch (shape._tag) {
      case "Free":
        return Node.toValue(node)
      case "Text":
        return this.#text(node, reading)
      case "Boolean": {
        const only = unwrap(node, reading)
        const value = only.type === "boolean" || (reading.kubernetes !== true && "value" in only)
          ? GoWeak.boolean(only.value)
          : undefined
        return value ?? this.#wrong(node, "true or false")
      }
      case "List": {
        const items = this.#items(node, reading)
        if (items === undefined) return this.#wrong(node, "a list")
        return items.flatMap((child) => {
          if (child.type === "null" && reading.lenient !== true) {
            this.problem(child.offset, "there is nothing at this place of the list; remove it")
          }
          const item = this.read(child, shape.item, reading)
          return item === undefined ? [] : [item]
        })
      }
      case "Object": {
        const only = unwrap(node, reading)
        return only.type === "object" ? this.#readObject(only, shape, reading) : this.#wrong(node, "an object")
      }
    }
  }

  #text(node: Node.Node, reading: Reading): string | undefined {
    const only = unwrap(node, reading)
    if (only.type !== "text") {
      return reading.kubernetes === true || !("value" in only)
        ? this.#wrong(node, "a text")
        : only.type === "number"
        ? only.text
        : GoWeak.text(only.value)
    }
    if (reading.lenient !== true && template.test(only.value)) {
      this.problem(only.offset, "this is a template that nobody has filled in; give what is made of it instead")
    }
    return only.value
  }

  #items(node: Node.Node, { kubernetes = false }: Reading): ReadonlyArray<Node.Node> | undefined {
    if (node.type === "list") return node.items
    if (kubernetes) return undefined
    // An object without anything in it is a list without anything in it.
    return node.type === "object" && node.members.length === 0 ? [] : [node]
  }

  #wrong(node: Node.Node, what: string): undefined {
    this.problem(node.offset, `${what} belongs here, and this is ${nameOf(node)}; correct it`)
  }

  #readObject(
    node: Extract<Node.Node, { type: "object" }>,
    shape: Extract<Shape, { _tag: "Object" }>,
    reading: Reading
  ): Value {
    const value: Record<string, unknown> = {}
    const offsets = new Map([["", node.offset]])
    const fields = Object.keys(shape.fields)
    // Open parts are free of the rules of Kubernetes, which does not know their keys.
    const named = reading.kubernetes === true && !shape.open ? camelCase : undefined
    for (const { key, offset, value: inner } of node.members) {
      const name = fields.find((field) => named === undefined ? isNamed(key, field) : key === named(field))
      if (offsets.has(name ?? key)) {
        this.problem(offset, `${key} is given twice; remove one`)
        continue
      }
      offsets.set(name ?? key, inner.offset)
      if (name !== undefined) {
        const read = this.read(inner, shape.fields[name]!, reading)
        if (read !== undefined) value[name] = read
      } else if (shape.open || reading.lenient === true) value[key] = Node.toValue(inner)
      else {
        this.problem(
          offset,
          `the field ${key} is not known; correct it, or remove it: known are ${
            fields.map(named ?? ((field) => field)).join(", ")
          }`
        )
      }
    }
    this.#offsets.set(value, offsets)
    return value
  }
}

/** A list of one stands for its item. */
const unwrap = (node: Node.Node, { kubernetes = false }: Reading): Node.Node =>
  !kubernetes && node.type === "list" && node.items.length === 1 ? node.items[0]! : node

/** Of Helm, consul-template, Jinja. */
const template = /\{\{-?\s*[.$"(#/A-Za-z]|\{%/

/** `PathPrefix`, in any letter case, or `path_prefix`. */
export const isNamed = (key: string, field: string): boolean => {
  const folded = key.toLowerCase()
  return folded === field.toLowerCase() || folded === snakeCase(field)
}

const words = (field: string): ReadonlyArray<string> => field.split(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/)

const snakeCase = (field: string): string => words(field).join("_").toLowerCase()

/** `PathPrefix` is `pathPrefix`, and `JWTProvider` is `jwtProvider`. */
const camelCase = (field: string): string => {
  const [first = "", ...rest] = words(field)
  return [first.toLowerCase(), ...rest].join("")
}

/** For messages. */
export const nameOf = ({ type }: Node.Node): string => names[type]

const names: { readonly [T in Node.Node["type"]]: string } = {
  object: "an object",
  list: "a list",
  text: "a text",
  number: "a number",
  boolean: "true or false",
  null: "null"
}
