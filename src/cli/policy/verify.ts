/** `effect-mesh policy verify ASSERTIONS`: statements about the policy, proved or refuted. */
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import * as Assertion from "../../policy/question/Assertion.ts"
import * as Mesh from "../../policy/Mesh.ts"
import * as Policy from "../../policy/Policy.ts"
import * as Report from "../../policy/report/Report.ts"
import * as Answer from "./Answer.ts"
import * as Formats from "./Formats.ts"
import * as Input from "./Input.ts"
import { PolicyError } from "./PolicyError.ts"
import * as Setting from "./Setting.ts"
import * as Statements from "./Statements.ts"

export const verify = Command.make(
  "verify",
  {
    ...Input.context,
    ...Input.source,
    ...Formats.flags(Report.formats),
    assertions: Argument.Path("assertions").pipe(Argument.withDescription("File of statements, in JSON"))
  },
  Effect.fn("cli.policy.verify")(function*(options) {
    const { assertions } = yield* Statements.read(options.assertions)
    if (assertions.length === 0) {
      return yield* new PolicyError({ why: `${options.assertions}: there are no assertions in it; write one` })
    }
    const policy = yield* Input.load(options, options.policy)
    const meshes = Policy.possible(policy).map((policy) => Mesh.make(policy))
    const findings = assertions.map((assertion) => Assertion.verifyUnderEach(meshes, assertion))
    const has = (...tags: ReadonlyArray<string>) => findings.some(({ verdict }) => tags.includes(verdict._tag))
    return yield* Answer.give(
      Report.format(findings, Formats.chosen(options), Setting.make(policy)),
      has("Refuted") ? Answer.unwelcome : has("Undecided", "Invalid") ? 1 : 0
    )
  })
).pipe(
  Command.withDescription(
    "Prove statements about the policy (never, always, only, implies, equivalent) for all callers and requests, or refute " +
      "them by one. Exit codes: 0 all are proved, 2 one is refuted, 1 error, or one could not be decided, 3 not everything could be " +
      "read."
  ),
  Command.withExamples([
    {
      command: "effect-mesh policy verify -f policy/ assertions.json --format junit",
      description: "In CI, before the entries are stored"
    }
  ])
)
