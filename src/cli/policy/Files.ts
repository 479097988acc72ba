/** Files and folders of config entries, as they are named on the command line. */
import { Effect } from "effect"
import { readdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import type * as Entries from "../../policy/Entries.ts"
import { PolicyError } from "./PolicyError.ts"

/** The file, or all of the folder's, in order of their names. */
export const read = (path: string): Effect.Effect<ReadonlyArray<Entries.Source>, PolicyError> =>
  Effect.gen(function*() {
    const isFolder = yield* attempt(path, async () => (await stat(path)).isDirectory())
    const names = isFolder
      ? (yield* attempt(path, () => readdir(path, { recursive: true, withFileTypes: true })))
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort()
      : [path]
    const foreign = names.find((name) => name.endsWith(".hcl"))
    if (foreign !== undefined) {
      return yield* new PolicyError({
        why: `${foreign}: HCL is not read; write the entry as JSON: store it and let ` +
          "`consul config read -kind KIND -name NAME` print it"
      })
    }
    const wanted = isFolder ? names.filter((name) => name.endsWith(".json")) : names
    if (wanted.length === 0) {
      return yield* new PolicyError({
        why: `${path}: there is no file that ends in .json; name the folder of the entries`
      })
    }
    return yield* Effect.forEach(
      wanted,
      (file) => Effect.map(attempt(file, () => readFile(file, "utf8")), (text) => ({ file, text }))
    )
  })

/** What the system says of `path`, as an error of the command. */
export const attempt = <A>(path: string, body: () => Promise<A>): Effect.Effect<A, PolicyError> =>
  Effect.tryPromise({
    try: body,
    catch: (cause) =>
      new PolicyError({ why: `${path} can not be read: ${cause instanceof Error ? cause.message : String(cause)}` })
  })
