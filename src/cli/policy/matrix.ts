/** `effect-mesh policy matrix`: who can reach whom. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { writeFile } from "node:fs/promises"
import * as Matrix from "../../policy/Matrix.ts"
import * as Mesh from "../../policy/Mesh.ts"
import * as Page from "../../policy/Page.ts"
import * as Answer from "./Answer.ts"
import * as Input from "./Input.ts"
import { PolicyError } from "./PolicyError.ts"

export const matrix = Command.make(
  "matrix",
  {
    ...Input.context,
    ...Input.source,
    ...Input.partial,
    json: Flag.Boolean("json").pipe(Flag.withDescription("Answer in JSON"), Flag.withDefault(false)),
    html: Flag.Path("html").pipe(
      Flag.withDescription("Write a page with a picture of it: one file, nothing else needed"),
      Flag.optional
    )
  },
  Effect.fn("cli.policy.matrix")(function*(options) {
    const policy = yield* Input.load(options, options.policy, options)
    const matrix = Matrix.make(Mesh.make(policy))
    if (Option.isSome(options.html)) {
      const file = options.html.value
      yield* Effect.tryPromise({
        try: () => writeFile(file, Page.render(matrix, policy.defaultPolicy)),
        catch: (cause) =>
          new PolicyError({
            why: `${file} can not be written: ${cause instanceof Error ? cause.message : String(cause)}`
          })
      })
    }
    const text = options.json
      ? JSON.stringify({ defaultPolicy: policy.defaultPolicy, ...Matrix.toJson(matrix) })
      : Option.isSome(options.html)
      ? [
        ...matrix.remarks,
        `${options.html.value}: ${matrix.callers.length} callers, ${matrix.destinations.length} destinations`
      ].join("\n")
      : Matrix.format(matrix)
    return yield* Answer.give(text, 0)
  })
).pipe(
  Command.withDescription(
    "Show who can reach whom: every caller and destination that somebody names, and one of each that nobody names. " +
      "Exact for all requests, not sampled. Exit codes: 0 done, 1 error, 3 not everything could be read."
  ),
  Command.withExamples([
    { command: "effect-mesh policy matrix", description: "Of the running agent" },
    { command: "effect-mesh policy matrix -f policy/ --html matrix.html", description: "Of files, as a page" }
  ])
)
