/**
 * Regular expressions of intentions: RE2 syntax, matched against the whole text in time linear in its length.
 * Consul stores them unchecked, so one that does not compile is found here.
 */
import { Result } from "effect"
import { RE2JS } from "re2js"
import * as Bytes from "./Bytes.ts"
import * as Truth from "./Truth.ts"

/** Matches one character for each byte. Bytes that are not UTF-8 cannot be evaluated: RE2 reads code points. */
export type Match = (bytes: string) => Truth.Truth

/** Fails with the fault of the expression. */
export const compile = (expression: string): Result.Result<Match, string> =>
  Result.try({
    try: (): Match => {
      // Not wrapped in ^(?:…)$ as text: `a)(b` would become valid by that.
      const compiled = RE2JS.compile(expression)
      return (bytes) => {
        const text = Bytes.toText(bytes)
        return text === undefined ? Truth.Unknown : Truth.fromBoolean(compiled.testExact(text))
      }
    },
    catch: (error) => error instanceof Error ? error.message : String(error)
  })
