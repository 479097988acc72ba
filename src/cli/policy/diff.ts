/** `effect-mesh policy diff BEFORE AFTER`: what a change allows and denies. */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Difference from "../../policy/question/Difference.ts"
import * as DifferenceReport from "../../policy/report/DifferenceReport.ts"
import * as Overlay from "../../policy/source/Overlay.ts"
import * as Answer from "./Answer.ts"
import * as Formats from "./Formats.ts"
import * as Input from "./Input.ts"
import * as Setting from "./Setting.ts"

const version = (name: string, which: string) =>
  Argument.String(name).pipe(
    Argument.withDescription(`The policy ${which}: a file or folder of config entries, or consul for the running agent`)
  )

export const diff = Command.make(
  "diff",
  {
    ...Input.context,
    ...Formats.flags(DifferenceReport.formats),
    onlyNamed: Flag.Boolean("only-named").pipe(
      Flag.withDescription(
        "AFTER is a part of the policy: its entries are stored over BEFORE, and other entries stay as they are"
      ),
      Flag.withDefault(false)
    ),
    before: version("before", "as it was"),
    after: version("after", "as it will be")
  },
  Effect.fn("cli.policy.diff")(function*(options) {
    const given = yield* Input.loadPair(options, options.before, options.after)
    const stored = options.onlyNamed ? Overlay.store(given.before, given.after) : undefined
    const difference = Difference.make(given.before, stored?.policy ?? given.after)
    return yield* Answer.give(
      DifferenceReport.format(
        { difference, kept: stored?.kept },
        Formats.chosen(options),
        Setting.make(given.before, given.after)
      ),
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
    {
      command: "effect-mesh policy diff consul policy/ --only-named",
      description: "What storing these entries would change"
    },
    {
      command: "effect-mesh policy diff main/policy policy --format markdown",
      description: "What a branch would change, for a pull request"
    }
  ])
)
