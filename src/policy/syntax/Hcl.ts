/**
 * HCL 1, as Consul's own decoder reads it (`hashicorp/hcl` 1.0.0). Objects are lists there: a block that comes twice is a list of
 * two, `a = { … }` is a list of one, and a label is an object around the block's own. What reads the tree takes a list of one for
 * its item, as Consul does.
 *
 * There are no expressions: a word without quotes is no value, and `${…}` in a text is nothing that Consul would replace.
 */
import * as GoWeak from "../../consul/GoWeak.ts"
import * as Node from "./Node.ts"

export const parse = (text: string): Node.Parsed => {
  try {
    const parser = new Parser(text)
    const root = parser.body(undefined)
    return { roots: root.members.length === 0 ? [] : [root], mistakes: [] }
  } catch (error) {
    if (error instanceof Wrong) return { roots: [], mistakes: [error.mistake] }
    throw error
  }
}

class Wrong extends Error {
  readonly mistake: Node.Mistake

  constructor(offset: number, what: string) {
    super(what)
    this.mistake = { offset, message: `not HCL: ${what}` }
  }
}

type Kind = "word" | "boolean" | "number" | "text" | "heredoc" | "{" | "}" | "[" | "]" | "," | "=" | "end"

interface Token {
  readonly kind: Kind
  readonly offset: number
  /** As written; of a text, what it says. */
  readonly text: string
}

type Body = Extract<Node.Node, { readonly type: "object" }>

/** Deeper than any entry, and far from the end of the stack. */
const depthLimit = 100

class Parser {
  readonly #scanner: Scanner
  #token: Token
  #depth = 0

  constructor(text: string) {
    this.#scanner = new Scanner(text)
    this.#token = this.#scanner.next()
  }

  /** Keys and values up to the end of the file, or to the brace that closes `open`. */
  body(open: Token | undefined): Body {
    this.#enter()
    const members: Array<Node.Member> = []
    const labelled = new Map<string, boolean>()
    const end = open === undefined ? "end" : "}"
    while (this.#token.kind !== end) {
      if (this.#token.kind === "end") {
        throw new Wrong(open!.offset, "the block that begins here has no end; close it with }")
      }
      const { hasLabels, member } = this.#item()
      if ((labelled.get(member.key) ?? hasLabels) !== hasLabels) {
        throw new Wrong(member.offset, `${member.key} stands here with a label and without one; choose one way`)
      }
      labelled.set(member.key, hasLabels)
      add(members, member)
      if (this.#token.kind === ",") this.#advance()
    }
    this.#advance()
    this.#depth -= 1
    return { type: "object", offset: open?.offset ?? 0, members }
  }

  #item(): { readonly hasLabels: boolean; readonly member: Node.Member } {
    const keys: Array<Token> = []
    while (this.#token.kind === "word" || this.#token.kind === "text") {
      if (this.#token.kind === "text" && this.#token.text.includes("${")) throw new Wrong(this.#token.offset, replaced)
      keys.push(this.#advance())
    }
    const [key, ...labels] = keys
    const token = this.#token
    if (key === undefined) throw new Wrong(token.offset, `the name of a field belongs here, and this is ${show(token)}`)
    if (token.kind === "=" && labels.length === 0) {
      this.#advance()
      return { hasLabels: false, member: { key: key.text, offset: key.offset, value: this.#value(true) } }
    }
    if (token.kind !== "{") {
      throw new Wrong(token.offset, `after ${key.text} belongs = or {, and this is ${show(token)}`)
    }
    this.#advance()
    const block = this.body(token)
    // A label is a key of its own.
    const value = labels.reduceRight<Body>(
      (inner, label) => ({
        type: "object",
        offset: label.offset,
        members: [{ key: label.text, offset: label.offset, value: listOf(inner) }]
      }),
      block
    )
    return { hasLabels: labels.length > 0, member: { key: key.text, offset: key.offset, value: listOf(value) } }
  }

  /** An object is a list of one, but not inside of a list. */
  #value(alone: boolean): Node.Node {
    const token = this.#advance()
    const { offset } = token
    switch (token.kind) {
      case "text":
      case "heredoc":
        return { type: "text", offset, value: token.text }
      case "boolean":
        return { type: "boolean", offset, value: token.text === "true" }
      case "number":
        return number(token)
      case "{": {
        const body = this.body(token)
        return alone ? listOf(body) : body
      }
      case "[":
        return this.#list(token)
      case "word":
        throw new Wrong(offset, `${token.text} is no value; put it in quotes (there are no expressions here)`)
      default:
        throw new Wrong(offset, `a value belongs here, and this is ${show(token)}`)
    }
  }

  #list(open: Token): Node.Node {
    this.#enter()
    const items: Array<Node.Node> = []
    while (this.#token.kind !== "]") {
      if (this.#token.kind === "end") {
        throw new Wrong(open.offset, "the list that begins here has no end; close it with ]")
      }
      if (this.#token.kind === ",") {
        this.#advance()
        continue
      }
      items.push(this.#value(false))
      const next = this.#peek()
      if (next.kind !== "," && next.kind !== "]") {
        throw new Wrong(next.offset, `a comma or ] belongs here, and this is ${show(next)}`)
      }
    }
    this.#advance()
    this.#depth -= 1
    return { type: "list", offset: open.offset, items }
  }

  #enter() {
    if (++this.#depth > depthLimit) throw new Wrong(this.#token.offset, Node.tooDeep)
  }

  #peek(): Token {
    return this.#token
  }

  #advance(): Token {
    const token = this.#token
    this.#token = token.kind === "end" ? token : this.#scanner.next()
    return token
  }
}

const listOf = (node: Body): Node.Node => ({ type: "list", offset: node.offset, items: [node] })

/** Lists under one key add up. Other repeated keys are left to the reader. */
const add = (members: Array<Node.Member>, member: Node.Member) => {
  const at = members.findIndex(({ key }) => key === member.key)
  const before = members[at]
  if (before?.value.type === "list" && member.value.type === "list") {
    members[at] = { ...before, value: { ...before.value, items: [...before.value.items, ...member.value.items] } }
  } else members.push(member)
}

const number = ({ offset, text }: Token): Node.Node => {
  const negative = text.startsWith("-")
  const digits = negative ? text.slice(1) : text
  if (/^(0[xX][0-9a-fA-F]+|\d+)$/.test(digits)) {
    // A leading zero means octal.
    if (/^0\d*[89]/.test(digits)) throw new Wrong(offset, `${text} begins with 0, which means octal, and is not`)
    const value = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits) * (negative ? -1n : 1n)
    if (BigInt.asIntN(64, value) !== value) throw new Wrong(offset, `${text} is too large`)
    return { type: "number", offset, value: Number(value), text: String(value) }
  }
  if (!/^(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(digits) || !Number.isFinite(Number(text))) {
    throw new Wrong(offset, `${text} is no number`)
  }
  return { type: "number", offset, value: Number(text), text: GoWeak.formatFloat(Number(text)) }
}

const show = (token: Token): string =>
  token.kind === "end"
    ? "the end of the file"
    : token.kind === "text" || token.kind === "heredoc"
    ? `the text ${JSON.stringify(token.text)}`
    : token.text

const replaced = "Consul does not replace ${…}; give what it stands for"

class Scanner {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
    const foreign = /[\0\ue123]/.exec(text)
    if (foreign !== null) throw new Wrong(foreign.index, "this character is not allowed here")
  }

  next(): Token {
    this.#skip()
    const offset = this.#at
    const character = this.#text[offset]
    if (character === undefined) return { kind: "end", offset, text: "" }
    if (punctuation.has(character)) {
      this.#at += 1
      return { kind: character as Kind, offset, text: character }
    }
    if (character === "\"") return { kind: "text", offset, text: this.#quoted() }
    if (character === "<") return { kind: "heredoc", offset, text: this.#heredoc() }
    const word = this.#match(/[\p{L}_][\p{L}\p{Nd}_\-.]*/uy)
    if (word !== undefined) {
      return { kind: word === "true" || word === "false" ? "boolean" : "word", offset, text: word }
    }
    const digits = this.#match(/-?(0[xX][0-9a-fA-F]*|\d+(\.\d*)?([eE][+-]?\d*)?)|\.\d+([eE][+-]?\d*)?/y)
    if (digits !== undefined) return { kind: "number", offset, text: digits }
    throw new Wrong(offset, `${String.fromCodePoint(this.#text.codePointAt(offset)!)} does not belong here`)
  }

  #match(expression: RegExp): string | undefined {
    expression.lastIndex = this.#at
    const found = expression.exec(this.#text)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }

  /** White space, and comments of three kinds. */
  #skip() {
    for (;;) {
      this.#match(/[ \t\r\n]+/y)
      const offset = this.#at
      if (this.#match(/\/\*/y) !== undefined) {
        const end = this.#text.indexOf("*/", this.#at)
        if (end < 0) throw new Wrong(offset, "the comment that begins here has no end; close it with */")
        this.#at = end + 2
      } else if (this.#match(/(#|\/\/)[^\n]*/y) === undefined) return
    }
  }

  #quoted(): string {
    const offset = this.#at++
    let value = ""
    for (;;) {
      const plain = this.#match(/[^"\\\n$]+/y)
      if (plain !== undefined) value += plain
      const character = this.#text[this.#at]
      if (character === undefined || character === "\n") {
        throw new Wrong(offset, "the text that begins here has no end; close it with \"")
      }
      this.#at += 1
      if (character === "\"") return value
      if (character === "\\") value += this.#escape()
      else if (this.#text[this.#at] === "{") throw new Wrong(this.#at - 1, replaced)
      else value += character
    }
  }

  #escape(): string {
    const offset = this.#at - 1
    const found = this.#match(/[abfnrtv\\"]|[0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}/y)
    const simple = found === undefined ? undefined : escapes[found]
    if (simple !== undefined) return simple
    const code = found === undefined
      ? -1
      : /^[0-7]/.test(found)
      ? Number.parseInt(found, 8)
      : Number.parseInt(found.slice(1), 16)
    // Bytes of a text in UTF-8 are no business of escapes; half of a pair is nothing by itself.
    const isCharacter = code >= 0 && code <= 0x10_ffff && !(code >= 0xd800 && code <= 0xdfff) &&
      (code < 0x80 || /^u/i.test(found!))
    if (!isCharacter) throw new Wrong(offset, `\\${found ?? this.#text[this.#at] ?? ""} is no escape`)
    return String.fromCodePoint(code)
  }

  /** Text up to a line of the anchor alone. After `<<-` each line loses what the last one is indented by, if all are. */
  #heredoc(): string {
    const offset = this.#at
    const opening = this.#match(/<<-?[\p{L}\p{Nd}_]+\r?\n/uy)
    if (opening === undefined) {
      throw new Wrong(offset, "a text over several lines begins with << and a word, alone on its line")
    }
    const indented = opening.startsWith("<<-")
    const anchor = opening.slice(indented ? 3 : 2).trimEnd()
    const lines: Array<string> = []
    for (;;) {
      const line = this.#match(/[^\n]*\n/y)
      if (line === undefined) {
        throw new Wrong(offset, `the text that begins here has no end; write ${anchor} on a line of its own`)
      }
      const body = line.replace(/\r?\n$/, "")
      const closing = /^([ \t\v\f\r]*)(.*)$/.exec(body)
      // Consul compares lengths first, the dash included: `<<-` with an anchor that is not indented never ends.
      if (closing?.[2] === anchor && (!indented || closing[1] !== "")) {
        const indent = closing[1]!
        const text = lines.map((each) => `${each}\n`).join("")
        if (text.includes("${")) throw new Wrong(offset, replaced)
        if (!indented) return text + indent
        return lines.every((each) => each.startsWith(indent))
          ? lines.map((each) => `${each.slice(indent.length)}\n`).join("")
          : text
      }
      lines.push(body)
    }
  }
}

const punctuation = new Set(["{", "}", "[", "]", ",", "="])

const escapes: { readonly [escape: string]: string } = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "\"": "\""
}
