/**
 * The token and the password that go with each request. A token comes as people and tools hand it over, with the line break
 * that editors leave at its end.
 *
 * Asking without a token that was given would be wrong in silence: Consul answers anonymous callers too, and leaves out what they
 * may not see. So a token file that cannot be read is an error at the start; later the last token read from it stays in use.
 */
import { Effect, Redacted, Result } from "effect"
import { readFile } from "node:fs/promises"
import * as Settings from "./Settings.ts"

export interface Credentials {
  /** For the next request. */
  readonly headers: Effect.Effect<Record<string, string>>
}

export const make = (
  { basicAuth, token, tokenFile }: Settings.Settings
): Effect.Effect<Credentials, Settings.InvalidSettings> =>
  Effect.gen(function*() {
    const given = token === undefined
      ? ""
      : yield* Effect.fromResult(parse(token.label ?? "the token", Redacted.value(token)))
    const current = tokenFile === undefined ? () => Effect.succeed(given) : yield* follow(tokenFile, given)
    const basic = basicAuth === undefined ? "" : Redacted.value(basicAuth)
    const authorization = basic === "" ? {} : {
      authorization: `Basic ${Buffer.from(basic.includes(":") ? basic : `${basic}:`).toString("base64")}`
    }
    return {
      headers: Effect.map(
        Effect.suspend(current),
        (token) => token === "" ? authorization : { "x-consul-token": token, ...authorization }
      )
    }
  })

/** Without the space around it. Fails on what can not be sent; the message never has the token. */
export const parse = (setting: string, text: string): Result.Result<string, Settings.InvalidSettings> => {
  const token = text.trim()
  return /^[\x21-\x7e]*$/.test(token)
    ? Result.succeed(token)
    : Result.fail(
      new Settings.InvalidSettings({
        setting,
        why: "holds a space, a line break or another character that no token has: set it to the token alone"
      })
    )
}

/** Read for each request, so that the token can be replaced in place. The first reading must succeed. */
const follow = (path: string, otherwise: string) =>
  Effect.gen(function*() {
    const setting = `the token file ${path}`
    const remedy = "name one that holds a token with --token-file or CONSUL_HTTP_TOKEN_FILE"
    const read = Effect.tryPromise({
      try: () => readFile(path, "utf8"),
      catch: (cause) =>
        new Settings.InvalidSettings({
          setting,
          why: `cannot be read (${cause instanceof Error ? cause.message : String(cause)}): ${remedy}`
        })
    }).pipe(Effect.flatMap((text) => Effect.fromResult(parse(setting, text))))
    const first = yield* read
    if (first === "" && otherwise === "") {
      return yield* new Settings.InvalidSettings({ setting, why: `is empty: ${remedy}` })
    }
    let last = first
    let isTold = false
    const keep = (problem: string) => {
      const told = isTold
      isTold = true
      return told ? Effect.void : Effect.logWarning(`${problem}. The last token that was read stays in use`)
    }
    const again = Effect.matchEffect(read, {
      onFailure: ({ message }) => keep(message),
      onSuccess: (token) => {
        // Empty: it is being written anew, perhaps.
        if (token === "" && last !== "") return keep(`${setting} is empty`)
        last = token
        isTold = false
        return Effect.void
      }
    })
    return () => Effect.map(again, () => last || otherwise)
  })
