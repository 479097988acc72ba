/** `effect-mesh policy explain DST`: everything about one destination. */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Explanation from "../../policy/question/Explanation.ts"
import * as Findings from "../../policy/question/Lint.ts"
import * as Mesh from "../../policy/Mesh.ts"
import * as Policy from "../../policy/Policy.ts"
import * as Answer from "./Answer.ts"
import * as Input from "./Input.ts"
import * as Lint from "./lint.ts"

export const explain = Command.make(
  "explain",
  {
    ...Input.context,
    ...Input.source,
    ...Input.partial,
    ...Lint.config,
    json: Flag.Boolean("json").pipe(Flag.withDescription("Answer in JSON"), Flag.withDefault(false)),
    destination: Argument.String("destination").pipe(
      Argument.withDescription("The service that is called; without it, every one is explained"),
      Argument.atLeast(0)
    )
  },
  Effect.fn("cli.policy.explain")(function*(options) {
    const config = yield* Lint.readConfig(options)
    const policy = yield* Input.load(options, options.policy, options)
    const mesh = Mesh.make(policy)
    const destinations = options.destination.length === 0
      ? Policy.destinations([policy])
      : yield* Effect.forEach(options.destination, (name) => Input.destination(policy, name))
    const findings = Findings.run(mesh, config, destinations)
    const explanations = destinations.map((destination) => Explanation.make(mesh, destination, findings))
    return yield* Answer.give(
      options.json
        ? JSON.stringify(explanations.map(Explanation.toJson), null, 2)
        : Explanation.format(explanations),
      0
    )
  })
).pipe(
  Command.withDescription(
    "Explain who may call a service: every kind of caller with the rules that decide, rules that never decide, and what " +
      "may not be meant as it is written. Exit codes: 0 done, 1 error, 3 not everything could be read."
  ),
  Command.withExamples([
    { command: "effect-mesh policy explain -f policy/ payments", description: "One service" }
  ])
)
