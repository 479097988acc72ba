/** JSON, with comments; one value, or several in a row, as `consul config read` prints them one after the other. */
import * as Jsonc from "jsonc-parser"
import * as GoWeak from "../../consul/GoWeak.ts"
import * as Node from "./Node.ts"

export const parse = (text: string): Node.Parsed => {
  const roots: Array<Node.Node> = []
  try {
    for (let start = skip(text, 0); start < text.length;) {
      const errors: Array<Jsonc.ParseError> = []
      // Consul allows comments in JSON files of its agent, not in those of `consul config write`: here they do no harm.
      const root = Jsonc.parseTree(text.slice(start), errors, { allowTrailingComma: false })
      // Whatever comes after the value is read as the next one.
      const [error] = errors.filter((error) => !isNext(error, root))
      if (error !== undefined) return { roots: [], mistakes: [mistake(start + error.offset, error.error)] }
      if (root === undefined) break
      roots.push(convert(root, start))
      start = skip(text, start + root.offset + root.length)
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return { roots: [], mistakes: [{ offset: 0, message: Node.tooDeep }] }
  }
  return { roots, mistakes: [] }
}

const isNext = ({ error, offset }: Jsonc.ParseError, root: Jsonc.Node | undefined): boolean =>
  root !== undefined && (root.type === "object" || root.type === "array") &&
  error === Jsonc.ParseErrorCode.EndOfFileExpected && offset >= root.offset + root.length

const mistake = (offset: number, code: Jsonc.ParseErrorCode): Node.Mistake => ({
  offset,
  message: `not JSON: ${
    Jsonc.printParseErrorCode(code).replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase()
  }; correct the syntax here or just before`
})

/** Where the next token begins. */
const skip = (text: string, offset: number): number => {
  const scanner = Jsonc.createScanner(text, true)
  scanner.setPosition(offset)
  return scanner.scan() === Jsonc.SyntaxKind.EOF ? text.length : scanner.getTokenOffset()
}

const convert = (node: Jsonc.Node, start: number): Node.Node => {
  const offset = start + node.offset
  switch (node.type) {
    case "object":
      return {
        type: "object",
        offset,
        members: (node.children ?? []).flatMap(({ children: [key, value] = [] }) =>
          key === undefined || value === undefined
            ? []
            : [{ key: String(key.value), offset: start + key.offset, value: convert(value, start) }]
        )
      }
    case "array":
      return { type: "list", offset, items: (node.children ?? []).map((child) => convert(child, start)) }
    case "number":
      return { type: "number", offset, value: Number(node.value), text: GoWeak.formatFloat(Number(node.value)) }
    case "boolean":
      return { type: "boolean", offset, value: Boolean(node.value) }
    case "null":
      return { type: "null", offset }
    default:
      return { type: "text", offset, value: String(node.value) }
  }
}
