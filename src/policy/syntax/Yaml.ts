/**
 * YAML 1.2, one document or several. Kubernetes reads YAML 1.1: what the two take for different things is refused, and so is
 * whatever JSON can not say.
 */
import * as Yaml from "yaml"
import * as GoWeak from "../../consul/GoWeak.ts"
import * as Node from "./Node.ts"

export const parse = (text: string): Node.Parsed => {
  try {
    const documents = Yaml.parseAllDocuments(text, { intAsBigInt: true, prettyErrors: false, logLevel: "silent" })
    const roots: Array<Node.Node> = []
    for (const document of documents as ReadonlyArray<Yaml.Document.Parsed>) {
      const [error] = [...document.errors, ...document.warnings]
      if (error !== undefined) return { roots: [], mistakes: [mistake(text, error)] }
      if (document.contents === null) continue
      const root = new Converter(document).convert(document.contents)
      // Between two `---` there may be nothing.
      if (root.type !== "null") roots.push(root)
    }
    return { roots, mistakes: [] }
  } catch (error) {
    if (error instanceof Wrong) return { roots: [], mistakes: [error.mistake] }
    if (error instanceof RangeError) return { roots: [], mistakes: [{ offset: 0, message: Node.tooDeep }] }
    throw error
  }
}

const mistake = (text: string, { message, pos: [offset] }: Yaml.YAMLError): Node.Mistake => ({
  offset,
  message: text.includes("{{")
    ? "not YAML, but a template, it seems; give what is made of it, for instance by `helm template`"
    : `not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}; correct the syntax here or just before`
})

class Wrong extends Error {
  readonly mistake: Node.Mistake

  constructor(offset: number, message: string) {
    super(message)
    this.mistake = { offset, message }
  }
}

/** Aliases make a small file large. No policy comes near this. */
const sizeLimit = 1_000_000

class Converter {
  readonly #document: Yaml.Document.Parsed
  readonly #open = new Set<unknown>()
  #size = 0

  constructor(document: Yaml.Document.Parsed) {
    this.#document = document
  }

  convert(node: unknown): Node.Node {
    const offset = offsetOf(node)
    if (++this.#size > sizeLimit) throw new Wrong(offset, "the aliases of this file make it too large; write it out")
    if (Yaml.isAlias(node)) {
      const target = node.resolve(this.#document)
      if (target === undefined) throw new Wrong(offset, `nothing is named &${node.source}; correct the alias`)
      if (this.#open.has(target)) throw new Wrong(offset, `the alias *${node.source} stands inside of what it names`)
      return this.convert(target)
    }
    if (node === null || node === undefined) return { type: "null", offset }
    if (!Yaml.isNode(node)) throw new Wrong(offset, "this can not be read; write it another way")
    if (node.tag !== undefined && !tags.has(node.tag)) {
      throw new Wrong(offset, `the tag ${node.tag} is not known; write what it stands for`)
    }
    if (Yaml.isScalar(node)) return scalar(node, offset)
    this.#open.add(node)
    const converted: Node.Node = Yaml.isMap(node)
      ? { type: "object", offset, members: this.#members(node) }
      : { type: "list", offset, items: (node as Yaml.YAMLSeq).items.map((item) => this.convert(item)) }
    this.#open.delete(node)
    return converted
  }

  #members(map: Yaml.YAMLMap): ReadonlyArray<Node.Member> {
    const members: Array<Node.Member> = []
    const merged: Array<Node.Member> = []
    for (const { key, value } of map.items) {
      const offset = offsetOf(key)
      if (!Yaml.isScalar(key) || key.value === null) {
        throw new Wrong(offset, "the name of a field belongs here; what stands in braces may be a template")
      }
      const name = key.type === "PLAIN" ? key.source ?? String(key.value) : String(key.value)
      if (key.type === "PLAIN" && name === "<<") merged.push(...this.#merged(value))
      else members.push({ key: name, offset, value: this.#value(value, offset) })
    }
    const own = new Set(members.map(({ key }) => key))
    // Of several that are merged, the first one counts.
    return [
      ...members,
      ...merged.filter(({ key }, i) => !own.has(key) && merged.findIndex((other) => other.key === key) === i)
    ]
  }

  #value(value: unknown, offset: number): Node.Node {
    return value === null || value === undefined ? { type: "null", offset } : this.convert(value)
  }

  #merged(value: unknown): ReadonlyArray<Node.Member> {
    const node = this.convert(value)
    const maps = node.type === "list" ? node.items : [node]
    return maps.flatMap((each) => {
      if (each.type !== "object") throw new Wrong(offsetOf(value), "<< takes the fields of objects, and this is none")
      return each.members
    })
  }
}

const scalar = (node: Yaml.Scalar, offset: number): Node.Node => {
  const { source = "", value } = node
  if (node.type === "PLAIN" && node.tag === undefined && ambiguous.test(source)) {
    throw new Wrong(
      offset,
      `${source} is not the same in YAML 1.2 and in 1.1, which Kubernetes reads; put a text in quotes, and write ` +
        "true, false and plain decimal numbers for what they are"
    )
  }
  switch (typeof value) {
    case "string":
      return { type: "text", offset, value }
    case "boolean":
      return { type: "boolean", offset, value }
    case "bigint":
      return { type: "number", offset, value: Number(value), text: String(value) }
    case "number":
      if (!Number.isFinite(value)) throw new Wrong(offset, `${source} is no number that an entry can have`)
      return { type: "number", offset, value, text: GoWeak.formatFloat(value) }
    default:
      if (value === null) return { type: "null", offset }
      throw new Wrong(offset, `${source} can not be read; write it another way`)
  }
}

const tags = new Set(["map", "seq", "str", "int", "float", "bool", "null"].map((name) => `tag:yaml.org,2002:${name}`))

/** Booleans of 1.1, and numbers with a leading zero, in base 2 or 8, or with underscores. */
const ambiguous =
  /^(y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|[-+]?0[0-9_]+|[-+]?0[bo][0-7_]+|[-+]?0x[0-9a-fA-F_]*_[0-9a-fA-F_]*|[-+]?[0-9][0-9.]*_[0-9_.]*)$/

const offsetOf = (node: unknown): number => Yaml.isNode(node) ? node.range?.[0] ?? 0 : 0
