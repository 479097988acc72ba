/** The token that allows changes: read again for each request that needs it, so that it can be replaced in place. */
import { readFile } from "node:fs/promises"
import { Effect, Redacted, Schema } from "effect"

export class UnusableTokenFile extends Schema.TaggedError<UnusableTokenFile>()("UnusableTokenFile", {
  path: Schema.String,
  why: Schema.String
}) {
  override readonly message = `--admin-token-file names ${this.path}, which ${this.why}`
  /** Operators read it: where in this package it was made would say nothing to them. */
  override readonly stack = `UnusableTokenFile: ${this.message}`
}

/** A short token can be guessed; tools make longer ones. */
const shortest = 16

export const read = (path: string): Effect.Effect<Redacted.Redacted<string>, UnusableTokenFile> =>
  Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: (cause) =>
      new UnusableTokenFile({
        path,
        why: `cannot be read: ${cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)}`
      })
  }).pipe(
    Effect.map((text) => text.trim()),
    Effect.filterOrFail(
      (token) => token.length >= shortest && !/\s/.test(token),
      () =>
        new UnusableTokenFile({
          path,
          why:
            `holds no token of at least ${shortest} characters without spaces: make one with \`openssl rand -hex 32\``
        })
    ),
    Effect.map((token) => Redacted.make(token, { label: "admin token" }))
  )
