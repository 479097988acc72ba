/**
 * JSON with positions, read in a known shape: keys as loosely as Consul reads them (`path_prefix` is `PathPrefix`), types
 * strictly, and no key twice or unknown. All problems are found, not just the first.
 */
import * as Jsonc from "jsonc-parser"
import * as Origin from "./Origin.ts"

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

export class Document {
  readonly file: string
  readonly root: Jsonc.Node | undefined
  readonly problems: Array<Problem> = []
  readonly #text: string
  /** Where the objects and their fields stand. */
  readonly #offsets = new WeakMap<object, Map<string, number>>()

  constructor(file: string, source: string) {
    this.file = file
    this.#text = source
    const errors: Array<Jsonc.ParseError> = []
    // Consul allows comments in JSON files of its agent, not in those of `consul config write`: here they do no harm.
    this.root = Jsonc.parseTree(source.replace(/^\ufeff/, " "), errors, { allowTrailingComma: false })
    for (const { error, offset } of errors.slice(0, 1)) {
      const what = Jsonc.printParseErrorCode(error).replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase()
      this.problem(offset, `not JSON: ${what}; correct the syntax here or just before`)
    }
    if (this.root === undefined && errors.length === 0) {
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
    const before = this.#text.slice(0, offset).split("\n")
    return { file: this.file, line: before.length, column: before.at(-1)!.length + 1 }
  }

  /** `null` reads as absent, as Go has it. With `lenient`, unknown keys stay. */
  read(node: Jsonc.Node, shape: Shape, lenient: boolean): unknown {
    if (node.type === "null") return undefined
    switch (shape._tag) {
      case "Free":
        return Jsonc.getNodeValue(node)
      case "Text":
        return this.#expect(node, "string", "a text")
      case "Boolean":
        return this.#expect(node, "boolean", "true or false")
      case "List": {
        if (this.#expect(node, "array", "a list") === undefined) return undefined
        return (node.children ?? []).flatMap((child) => {
          const item = this.read(child, shape.item, lenient)
          return item === undefined ? [] : [item]
        })
      }
      case "Object":
        return this.#expect(node, "object", "an object") === undefined
          ? undefined
          : this.#readObject(node, shape, lenient)
    }
  }

  #readObject(node: Jsonc.Node, shape: Extract<Shape, { _tag: "Object" }>, lenient: boolean): Value {
    const value: Record<string, unknown> = {}
    const offsets = new Map([["", node.offset]])
    for (const property of node.children ?? []) {
      const [keyNode, valueNode] = property.children ?? []
      if (keyNode === undefined || valueNode === undefined) continue
      const key = String(keyNode.value)
      const name = Object.keys(shape.fields).find((field) => loose(field) === loose(key))
      if (offsets.has(name ?? key)) {
        this.problem(keyNode.offset, `${key} is given twice; remove one`)
        continue
      }
      offsets.set(name ?? key, valueNode.offset)
      if (name !== undefined) {
        const read = this.read(valueNode, shape.fields[name]!, lenient)
        if (read !== undefined) value[name] = read
      } else if (shape.open || lenient) value[key] = Jsonc.getNodeValue(valueNode)
      else {
        this.problem(
          keyNode.offset,
          `the field ${key} is not known; correct it, or remove it: known are ${Object.keys(shape.fields).join(", ")}`
        )
      }
    }
    this.#offsets.set(value, offsets)
    return value
  }

  #expect(node: Jsonc.Node, type: Jsonc.NodeType, what: string): unknown {
    if (node.type === type) return node.value ?? true
    this.problem(node.offset, `${what} belongs here, and this is ${names[node.type]}; correct it`)
    return undefined
  }
}

const loose = (key: string): string => key.replaceAll("_", "").toLowerCase()

const names: { readonly [T in Jsonc.NodeType]: string } = {
  object: "an object",
  array: "a list",
  property: "a field",
  string: "a text",
  number: "a number",
  boolean: "true or false",
  null: "null"
}
