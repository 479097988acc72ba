/** `effect-mesh policy matrix`: who can reach whom. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { writeFile } from "node:fs/promises"
import * as Callers from "../../policy/Callers.ts"
import * as Lint from "../../policy/question/Lint.ts"
import * as Matrix from "../../policy/question/Matrix.ts"
import * as MatrixText from "../../policy/report/MatrixText.ts"
import * as Mesh from "../../policy/Mesh.ts"
import * as Nearest from "../../policy/Nearest.ts"
import * as Page from "../../policy/report/Page.ts"
import * as Answer from "./Answer.ts"
import * as Formats from "./Formats.ts"
import * as Input from "./Input.ts"
import { PolicyError } from "./PolicyError.ts"
import * as Terminal from "./Terminal.ts"

export const matrix = Command.make(
  "matrix",
  {
    ...Input.context,
    ...Input.source,
    ...Input.partial,
    ...Formats.flags(["text", "json", "markdown"]),
    from: Flag.String("from").pipe(
      Flag.withDescription("Only this caller: web, team/web, team/*, peer:east/web; may be repeated"),
      Flag.withMetavar("CALLER"),
      Flag.atLeast(0)
    ),
    to: Flag.String("to").pipe(
      Flag.withDescription("Only calls to this service; may be repeated"),
      Flag.withMetavar("SERVICE"),
      Flag.atLeast(0)
    ),
    html: Flag.Path("html").pipe(
      Flag.withDescription("Write a page with a picture of it: one file, nothing else needed"),
      Flag.optional
    )
  },
  Effect.fn("cli.policy.matrix")(function*(options) {
    const policy = yield* Input.load(options, options.policy, options)
    const mesh = Mesh.make(policy)
    const all = Matrix.make(mesh)
    yield* Effect.forEach(options.from, (pattern) =>
      all.callers.some((each) => Callers.covers(pattern, each))
        ? Effect.void
        : unknown("caller", pattern, all.callers))
    yield* Effect.forEach(options.to, (pattern) =>
      all.destinations.some((each) => Matrix.isNamed(pattern, each))
        ? Effect.void
        : unknown("destination", pattern, all.destinations))
    const matrix = Matrix.only(all, options.from, options.to)
    if (Option.isSome(options.html)) {
      const file = options.html.value
      yield* Effect.tryPromise({
        try: () =>
          writeFile(
            file,
            Page.render({
              mesh,
              matrix,
              findings: Lint.run(mesh),
              source: options.policy.length === 0 ? "the running agent" : options.policy.join(", "),
              date: new Date().toISOString()
            })
          ),
        catch: (cause) =>
          new PolicyError({
            why: `${file} can not be written: ${cause instanceof Error ? cause.message : String(cause)}`
          })
      })
    }
    const format = Formats.chosen(options)
    const text = format === "json"
      ? JSON.stringify({ defaultPolicy: policy.defaultPolicy, ...Matrix.toJson(matrix) })
      : format === "markdown"
      ? MatrixText.markdown(matrix)
      : Option.isSome(options.html)
      ? [
        ...matrix.remarks,
        `${options.html.value}: ${matrix.callers.length} callers, ${matrix.destinations.length} destinations`
      ].join("\n")
      : MatrixText.format(matrix, Terminal.of(process.stdout, process.env))
    return yield* Answer.give(text, 0)
  })
).pipe(
  Command.withDescription(
    "Show who can reach whom: every named caller and destination, and an unnamed one of each. " +
      "Exact for all requests, not sampled. Exit codes: 0 done, 1 error, 3 not everything could be read."
  ),
  Command.withExamples([
    { command: "effect-mesh policy matrix", description: "Of the running agent" },
    { command: "effect-mesh policy matrix -f policy/ --html matrix.html", description: "Of files, as a page" }
  ])
)

const unknown = (what: string, name: string, known: ReadonlyArray<{ readonly label: string }>) =>
  new PolicyError({ why: `no ${what} is named ${name}${Nearest.ask(name, known.map(({ label }) => label))}` })
