/** JSON that people write: errors say where. */
import { Result } from "effect"
import { parse as parseTolerantly, type ParseError, printParseErrorCode } from "jsonc-parser"

/** Fails with what is wrong and where: `ValueExpected at line 3, column 14`. */
export const parse = (text: string): Result.Result<unknown, string> => {
  try {
    return Result.succeed(JSON.parse(text) as unknown)
  } catch {
    const errors: Array<ParseError> = []
    parseTolerantly(text, errors, { disallowComments: true, allowTrailingComma: false })
    const [first] = errors
    if (first === undefined) return Result.fail("it is no JSON")
    const before = text.slice(0, first.offset).split("\n")
    const what = printParseErrorCode(first.error).replace(
      /([a-z])([A-Z])/g,
      (_, a: string, b: string) => `${a} ${b.toLowerCase()}`
    )
    return Result.fail(`${what} at line ${before.length}, column ${before.at(-1)!.length + 1}`)
  }
}
