/**
 * Filter expressions of Consul's API (bexpr), parsed. The grammar, by precedence: `or`, `and`, `not`, then a comparison
 * or a group in parentheses. Words are operators only where one is expected, so `in == in` is a comparison.
 *
 * @see https://developer.hashicorp.com/consul/api-docs/features/filtering
 */
import { Result, Schema } from "effect"

export type Operator =
  | "=="
  | "!="
  | "in"
  | "not in"
  | "contains"
  | "not contains"
  | "is empty"
  | "is not empty"
  | "matches"
  | "not matches"

export type Expression =
  | { readonly _tag: "And" | "Or"; readonly left: Expression; readonly right: Expression }
  | { readonly _tag: "Not"; readonly operand: Expression }
  | {
    readonly _tag: "Match"
    readonly selector: ReadonlyArray<string>
    readonly operator: Operator
    /** Empty for `is empty`. */
    readonly value: string
  }

/** The expression can not be read, or asks about something that is not there. */
export class BexprError extends Schema.TaggedError<BexprError>()("BexprError", { detail: Schema.String }) {
  override readonly message = this.detail
}

export const parse = (text: string): Result.Result<Expression, BexprError> => {
  const parser = new Parser(text)
  try {
    return Result.succeed(parser.expression())
  } catch (error) {
    if (error instanceof BexprError) return Result.fail(error)
    throw error
  }
}

/** `a.b` where a quoted part stands in brackets. */
export const formatSelector = (selector: ReadonlyArray<string>): string => selector.join(".")

const word = /[a-zA-Z][a-zA-Z0-9_/]*/y
const selectorPart = /\.[a-zA-Z][a-zA-Z0-9_/]*|\.[0-9]+/y
const indexPart = /\[\s*(?:"([^"\\]*(?:\\.[^"\\]*)*)"|`([^`]*)`)\s*\]/y
const numberValue = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?/y
const quoted = /"([^"\\]*(?:\\.[^"\\]*)*)"/y
const raw = /`([^`]*)`/y
const bareValue = /[a-zA-Z][a-zA-Z0-9_/]*(?:\.[a-zA-Z0-9_/]+)*/y

/** Of an expression: deeper ones would not fit the stack. */
const maxParts = 1000

class Parser {
  position = 0
  readonly text: string
  /** Conditions, groups and negations so far: each may be within another. */
  parts = 0

  constructor(text: string) {
    this.text = text
  }

  expression(): Expression {
    this.space()
    const expression = this.or()
    this.space()
    if (this.position < this.text.length) {
      this.fail(
        /\s/.test(this.text[this.position - 1] ?? " ")
          ? ["\"and\"", "\"or\"", space]
          : [".", "["].map(quote).concat(space, "[a-zA-Z0-9_]"),
        "EOF"
      )
    }
    return expression
  }

  or(): Expression {
    const left = this.and()
    const mark = this.position
    if (this.space() && this.keyword("or")) {
      this.requireSpace()
      return { _tag: "Or", left, right: this.or() }
    }
    this.position = mark
    return left
  }

  and(): Expression {
    const left = this.not()
    const mark = this.position
    if (this.space() && this.keyword("and")) {
      this.requireSpace()
      return { _tag: "And", left, right: this.and() }
    }
    this.position = mark
    return left
  }

  not(): Expression {
    if (++this.parts > maxParts) this.failWith(`the expression has more than ${maxParts} parts`)
    const mark = this.position
    if (this.keyword("not") && this.space()) {
      const operand = this.not()
      return operand._tag === "Not" ? operand.operand : { _tag: "Not", operand }
    }
    this.position = mark
    if (this.text[this.position] !== "(") return this.match()
    this.position++
    this.space()
    const inner = this.or()
    this.space()
    if (this.text[this.position] !== ")") this.failWith("rule \"grouping\": Unmatched parentheses")
    this.position++
    return inner
  }

  match(): Expression {
    const mark = this.position
    const inSelector = this.valueThenIn()
    if (inSelector !== undefined) return inSelector
    this.position = mark
    const selector = this.selector()
    const spaced = this.space()
    const operator = this.operator(spaced)
    if (operator === "is empty" || operator === "is not empty") return { _tag: "Match", selector, operator, value: "" }
    return { _tag: "Match", selector, operator, value: this.value() }
  }

  /** `value in selector`, the one form that begins with a value. */
  valueThenIn(): Expression | undefined {
    const value = this.tryValue()
    if (value === undefined || !this.space()) return undefined
    const negated = this.keyword("not")
    if (negated && !this.space()) return undefined
    if (!this.keyword("in")) return undefined
    this.requireSpace()
    const selector = this.selector()
    return { _tag: "Match", selector, operator: negated ? "not in" : "in", value }
  }

  operator(spaced: boolean): Operator {
    if (this.literal("==")) return this.space(), "=="
    if (this.literal("!=")) return this.space(), "!="
    if (spaced) {
      const mark = this.position
      const negated = this.keyword("not") && this.space()
      if (this.keyword("contains")) return this.requireSpace(), negated ? "not contains" : "contains"
      if (this.keyword("matches")) return this.requireSpace(), negated ? "not matches" : "matches"
      if (this.keyword("in")) return this.requireSpace(), negated ? "not in" : "in"
      if (!negated && this.keyword("is")) {
        this.requireSpace()
        const not = this.keyword("not")
        if (not) this.requireSpace()
        if (this.keyword("empty")) return not ? "is not empty" : "is empty"
        this.fail(not ? [quote("empty")] : [quote("empty"), quote("not")])
      }
      this.position = mark
    }
    return spaced
      ? this.fail(["!=", "==", "contains", "in", "is", "matches", "not"].map(quote), space)
      : this.fail(["!=", ".", "==", "["].map(quote).concat(space), "[a-zA-Z0-9_]")
  }

  selector(): ReadonlyArray<string> {
    const first = this.take(word)
    if (first === undefined) {
      return this.fail(["(", "-", "0", "\"", "`", "not"].map(quote).concat(space, "[1-9]"), "[a-zA-Z]")
    }
    const selector = [first[0]]
    while (true) {
      const part = this.take(selectorPart)
      if (part !== undefined) {
        selector.push(part[0].slice(1))
        continue
      }
      const index = this.take(indexPart)
      if (index === undefined) return selector
      selector.push(index[2] ?? unescape(index[1] ?? ""))
    }
  }

  value(): string {
    const value = this.tryValue() ?? this.fail(["-", "0", "\"", "`"].map(quote).concat(space, "[1-9]"), "[a-zA-Z]")
    return value
  }

  tryValue(): string | undefined {
    const text = this.take(quoted)
    if (text !== undefined) return unescape(text[1] ?? "")
    const verbatim = this.take(raw)
    if (verbatim !== undefined) return verbatim[1]
    const number = this.take(numberValue)
    if (number === undefined) return this.take(bareValue)?.[0]
    if (!/[a-zA-Z0-9_.]/.test(this.text[this.position] ?? "")) return number[0]
    return this.failWith("rule \"number\": Invalid number literal")
  }

  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.position
    const match = pattern.exec(this.text)
    if (match === null) return undefined
    this.position += match[0].length
    return match
  }

  /** A word that is not the beginning of a longer one. */
  keyword(name: string): boolean {
    if (!this.text.startsWith(name, this.position)) return false
    const next = this.text[this.position + name.length]
    if (next !== undefined && /[a-zA-Z0-9_/.[]/.test(next)) return false
    this.position += name.length
    return true
  }

  literal(text: string): boolean {
    if (!this.text.startsWith(text, this.position)) return false
    this.position += text.length
    return true
  }

  space(): boolean {
    const before = this.position
    while (/[ \t\r\n]/.test(this.text[this.position] ?? "")) this.position++
    return this.position > before
  }

  requireSpace(): void {
    if (!this.space()) this.fail([space])
  }

  /** In the words of the parser that Consul uses: what could have followed. */
  fail(expected: ReadonlyArray<string>, last?: string): never {
    const options = last === undefined ? expected.slice(0, -1) : expected
    const final = last ?? expected.at(-1) ?? ""
    return this.failWith(
      `no match found, expected: ${options.length === 0 ? final : `${options.join(", ")} or ${final}`}`
    )
  }

  /** Line, column and byte offset, then what is wrong there. */
  failWith(problem: string): never {
    const before = this.text.slice(0, this.position)
    const line = before.split("\n").length
    const column = this.position - before.lastIndexOf("\n")
    throw new BexprError({ detail: `${line}:${column} (${Buffer.byteLength(before)}): ${problem}` })
  }
}

const space = "[ \\t\\r\\n]"
const quote = (text: string): string => `"${text.replace("\"", "\\\"")}"`

const unescape = (text: string): string => {
  try {
    return JSON.parse(`"${text}"`)
  } catch {
    return text
  }
}
