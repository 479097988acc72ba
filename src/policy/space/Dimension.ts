/** One thing that a request consists of, and what it can be, as far as a policy tells: its atoms. */
import type * as TokenRequirement from "../../intention/TokenRequirement.ts"

/** A value of one dimension: its atom. */
export interface Value {
  /** Bytes; `undefined` for an absent header, and for tokens. Several lines are joined. */
  readonly text: string | undefined
  /** Where there are several. */
  readonly lines: ReadonlyArray<string> | undefined
  /** Of a token that is present. */
  readonly claims: TokenRequirement.Claims | undefined
  /** For a smallest witness. */
  readonly cost: number
}

export interface Dimension {
  readonly kind: "method" | "path" | "header" | "token"
  /** Of the header, in lower case, or of the token's provider. */
  readonly name: string
  readonly values: ReadonlyArray<Value>
  /** The atom of a text, or of an absent header, or of several lines of one. Tokens have none. */
  readonly find: (text: string | undefined, lines?: ReadonlyArray<string>) => number | undefined
}
