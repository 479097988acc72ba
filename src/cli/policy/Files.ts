/** Files and folders of a policy, as they are named on the command line; `-` is standard input. */
import { Console, Effect, Result } from "effect"
import { buffer } from "node:stream/consumers"
import * as Folder from "../../policy/source/Folder.ts"
import { PolicyError } from "./PolicyError.ts"

/** The file, or all of the folder's, in order of their names, and what of it is missing. */
export const read = (path: string): Effect.Effect<Folder.Found, PolicyError> =>
  path === "-"
    ? standardInput
    : Effect.suspend(() => Effect.fromResult(Result.mapError(Folder.read(path), (why) => new PolicyError({ why }))))

/** Read to its end. There is nothing left for who asks again. */
const standardInput: Effect.Effect<Folder.Found, PolicyError> = Effect.gen(function*() {
  if (process.stdin.isTTY) {
    yield* Console.error("Reading entries from the terminal; Ctrl-D ends.")
  }
  if (process.stdin.readableEnded) {
    return yield* new PolicyError({ why: "standard input is read already; name it once" })
  }
  const text = Folder.decode(yield* attempt("standard input", () => buffer(process.stdin)))
  return text === undefined
    ? yield* new PolicyError({ why: "standard input: it is no text in UTF-8; convert it" })
    : { sources: [{ file: "standard input", text }], missing: [] }
})

/** What the system says of `path`, as an error of the command. */
export const attempt = <A>(path: string, body: () => Promise<A>): Effect.Effect<A, PolicyError> =>
  Effect.tryPromise({
    try: body,
    catch: (cause) =>
      new PolicyError({ why: `${path} can not be read: ${cause instanceof Error ? cause.message : String(cause)}` })
  })
