/** `effect-mesh policy diff BEFORE AFTER`: what a change allows and denies. */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Difference from "../../policy/Difference.ts"
import * as Answer from "./Answer.ts"
import * as Input from "./Input.ts"

const version = (name: string, which: string) =>
  Argument.String(name).pipe(
    Argument.withDescription(`The policy ${which}: a file or folder of config entries, or consul for the running agent`)
  )

export const diff = Command.make(
  "diff",
  {
    ...Input.context,
    json: Flag.Boolean("json").pipe(Flag.withDescription("Answer in JSON"), Flag.withDefault(false)),
    before: version("before", "as it was"),
    after: version("after", "as it shall be")
  },
  Effect.fn("cli.policy.diff")(function*(options) {
    const { after, before } = yield* Input.loadPair(options, options.before, options.after)
    const difference = Difference.make(before, after)
    return yield* Answer.give(
      options.json ? JSON.stringify(Difference.toJson(difference), null, 2) : Difference.format(difference),
      Difference.newlyAllowed(difference) ? Answer.unwelcome : difference.undecided.length > 0 ? 1 : 0
    )
  })
).pipe(
  Command.withDescription(
    "Show exactly what is newly allowed and newly denied, each with a smallest request that shows it. Exit codes: 0 nothing " +
      "is newly allowed, 2 something is, 1 error, or something could not be decided, 3 not everything could be " +
      "read."
  ),
  Command.withExamples([
    { command: "effect-mesh policy diff consul policy/", description: "What storing these entries would change" }
  ])
)
