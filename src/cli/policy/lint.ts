/** `effect-mesh policy lint`: what may not be meant as it is written, with levels that can fail a build. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Lint from "../../policy/question/Lint.ts"
import * as LintReport from "../../policy/report/LintReport.ts"
import * as Mesh from "../../policy/Mesh.ts"
import * as Nearest from "../../policy/Nearest.ts"
import * as Policy from "../../policy/Policy.ts"
import * as Answer from "./Answer.ts"
import * as Formats from "./Formats.ts"
import * as Input from "./Input.ts"
import { incomplete, PolicyError } from "./PolicyError.ts"
import * as Setting from "./Setting.ts"
import * as Statements from "./Statements.ts"

/** Flags that say what to make of findings. */
export const config = {
  config: Flag.Path("config").pipe(
    Flag.withDescription("File whose field lint has levels of rules, and findings that are silenced with a reason"),
    Flag.withMetavar("FILE"),
    Flag.optional
  ),
  rule: Flag.String("rule").pipe(
    Flag.withDescription("Level of a rule: error, warning, note or off; may be repeated, and outranks the file"),
    Flag.withMetavar("ID=LEVEL"),
    Flag.atLeast(0)
  )
}

export const readConfig = (options: {
  readonly config: Option.Option<string>
  readonly rule: ReadonlyArray<string>
}): Effect.Effect<Lint.Config, PolicyError> =>
  Effect.gen(function*() {
    const file = Option.isNone(options.config) ? Lint.none : (yield* Statements.read(options.config.value)).lint
    const levels = yield* Effect.forEach(options.rule, toLevel)
    return { ...file, levels: { ...file.levels, ...Object.fromEntries(levels) } }
  })

const levels = ["error", "warning", "note", "off"] as const

const toLevel = (text: string): Effect.Effect<readonly [Lint.RuleId, Lint.Level], PolicyError> => {
  const [id, level] = text.split("=")
  const rule = Lint.rules.find((each) => each.id === id)
  const known = levels.find((each) => each === level)
  if (rule !== undefined && known !== undefined) return Effect.succeed([rule.id, known])
  const ids = Lint.rules.map((each) => each.id)
  return new PolicyError({
    why: rule === undefined
      ? `--rule ${text}: there is no rule ${id}${Nearest.ask(id ?? "", ids) || `; known are ${ids.join(", ")}`}`
      : `--rule ${text}: write ${rule.id}=LEVEL, where LEVEL is ${levels.join(", ")}`
  })
}

export const lint = Command.make(
  "lint",
  {
    ...Input.context,
    ...Input.source,
    ...Input.partial,
    ...config,
    ...Formats.flags(LintReport.formats)
  },
  Effect.fn("cli.policy.lint")(function*(options) {
    const config = yield* readConfig(options)
    const policy = yield* Input.load(options, options.policy, options)
    const findings = Lint.runUnderEach(Policy.possible(policy).map((each) => Mesh.make(each)), config)
    const setting = Setting.make(policy)
    return yield* Answer.give(
      LintReport.format(findings, Formats.chosen(options), setting),
      Lint.fails(findings) ? Answer.unwelcome : setting.complete ? 0 : incomplete
    )
  })
).pipe(
  Command.withDescription(
    "Find what may not be meant as it is written. Each rule has a level; findings can be silenced with a reason. Exit codes: 0 " +
      "no finding of level error, 2 there is one, 1 error, 3 not everything could be read."
  ),
  Command.withExamples([
    {
      command: "effect-mesh policy lint -f policy/ --rule no-boundary=error --format github",
      description: "In CI, with annotations"
    }
  ])
)
