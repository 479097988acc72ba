/** Files and folders of a policy, as named on the command line; `-` is standard input. */
import { Console, Effect, Result } from "effect"
import { buffer } from "node:stream/consumers"
import * as Folder from "../../policy/source/Folder.ts"
import { PolicyError } from "./PolicyError.ts"

/** The file, or all of the folder's, in order of their names, and what of it is missing. */
export const read = (path: string): Effect.Effect<Folder.Found, PolicyError> =>
  path === "-"
    ? standardInput
    : Effect.suspend(() => Effect.fromResult(Result.mapError(Folder.read(path), (why) => new PolicyError({ why }))))

/** Reads standard input to its end. It can be read once only. */
const standardInput: Effect.Effect<Folder.Found, PolicyError> = Effect.gen(function*() {
  if (process.stdin.isTTY) {
    yield* Console.error("Reading entries from the terminal; Ctrl-D ends.")
  }
  if (process.stdin.readableEnded) {
    return yield* new PolicyError({ why: "standard input is read already; name it once" })
  }
  const text = Folder.decode(yield* attempt("standard input", () => buffer(process.stdin)))
  return text === undefined
    ? yield* new PolicyError({ why: "standard input is not UTF-8 text; convert it" })
    : { sources: [{ file: "standard input", text }], missing: [] }
})

/** An error of the system about `path`, as an error of the command. */
export const attempt = <A>(path: string, body: () => Promise<A>): Effect.Effect<A, PolicyError> =>
  Effect.tryPromise({
    try: body,
    catch: (cause) =>
      new PolicyError({ why: `${path} can not be read: ${cause instanceof Error ? cause.message : String(cause)}` })
  })
