/** The file of statements and silencings, as it is named on the command line. */
import { Effect, Result } from "effect"
import { readFile } from "node:fs/promises"
import * as AssertionFile from "../../policy/question/AssertionFile.ts"
import * as Document from "../../policy/source/Document.ts"
import * as Files from "./Files.ts"
import { PolicyError } from "./PolicyError.ts"

export const read = (file: string): Effect.Effect<AssertionFile.Content, PolicyError> =>
  Effect.flatMap(Files.attempt(file, () => readFile(file, "utf8")), (text) =>
    AssertionFile.read(file, text).pipe(
      Result.mapError((problems) => new PolicyError({ why: problems.map(Document.format).join("\n") })),
      Effect.fromResult
    ))
