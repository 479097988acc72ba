/** `effect-mesh policy verify ASSERTIONS`: statements about the policy, proved or refuted. */
import { Effect, Result, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { readFile } from "node:fs/promises"
import * as Assertion from "../../policy/Assertion.ts"
import * as Json from "../../policy/Json.ts"
import * as Mesh from "../../policy/Mesh.ts"
import * as Policy from "../../policy/Policy.ts"
import * as Report from "../../policy/Report.ts"
import * as Answer from "./Answer.ts"
import * as Input from "./Input.ts"
import { PolicyError } from "./PolicyError.ts"

export const verify = Command.make(
  "verify",
  {
    ...Input.context,
    ...Input.source,
    format: Flag.Literals("format", ["text", "json", "junit", "tap"]).pipe(
      Flag.withDescription("For people, machines, or a CI system"),
      Flag.withDefault("text")
    ),
    assertions: Argument.Path("assertions").pipe(Argument.withDescription("File of statements, in JSON"))
  },
  Effect.fn("cli.policy.verify")(function*(options) {
    const assertions = yield* read(options.assertions)
    const meshes = Policy.possible(yield* Input.load(options, options.policy)).map((policy) => Mesh.make(policy))
    const findings = assertions.map((assertion) => Assertion.verifyUnderEach(meshes, assertion))
    const has = (...tags: ReadonlyArray<string>) => findings.some(({ verdict }) => tags.includes(verdict._tag))
    return yield* Answer.give(
      Report.format(findings, options.format),
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

const read = (file: string) =>
  Effect.gen(function*() {
    const text = yield* Effect.tryPromise({
      try: () => readFile(file, "utf8"),
      catch: (cause) =>
        new PolicyError({
          why: `${file} can not be read: ${cause instanceof Error ? cause.message : String(cause)}`
        })
    })
    const document = new Json.Document(file, text)
    const value = document.root === undefined ? undefined : document.read(document.root, Json.free, false)
    if (document.problems.length > 0) {
      return yield* new PolicyError({ why: document.problems.map(Json.format).join("\n") })
    }
    const decoded = Schema.decodeUnknownResult(Assertion.Assertions, { onExcessProperty: "error", errors: "all" })(
      value
    )
    if (Result.isFailure(decoded)) return yield* new PolicyError({ why: `${file}: ${decoded.failure.message}` })
    return decoded.success.assertions
  })
