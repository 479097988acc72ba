/** The flag `--header` of commands that ask about a request. */
import { Effect } from "effect"
import { Flag } from "effect/cli"
import { PolicyError } from "./PolicyError.ts"

export const flag = Flag.String("header").pipe(
  Flag.withDescription("A header of the request, \"Name: value\"; may be repeated"),
  Flag.withMetavar("LINE"),
  Flag.atLeast(0)
)

/** Names and values; values hold one character for each byte. */
export const read = (
  lines: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<readonly [name: string, value: string]>, PolicyError> =>
  Effect.forEach(lines, (line) => {
    const colon = line.indexOf(":")
    return colon > 0
      ? Effect.succeed(
        [line.slice(0, colon).trim(), Buffer.from(line.slice(colon + 1).trim()).toString("latin1")] as const
      )
      : new PolicyError({ why: `--header ${JSON.stringify(line)} has no colon: write --header "Name: value"` })
  })
