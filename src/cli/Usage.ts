/** Messages about a command line that cannot be understood: the fault in one line, and where to read on. */
import { Effect } from "effect"
import { type CliError, CliOutput } from "effect/cli"
import type * as Log from "./Log.ts"
import type { Origins } from "./proxy/Sources.ts"

const suggestion = (names: ReadonlyArray<string>): string =>
  names.length === 0 ? "" : `; did you mean ${names.join(" or ")}?`

/** One line, without a full stop. `origins`: of flags that stood elsewhere than on the command line. */
export const describe = (error: CliError.NonShowHelpErrors, origins: Origins = new Map()): string => {
  const from = "option" in error ? origins.get(error.option.replace(/^--/, "")) ?? "flag" : "flag"
  return from === "flag" ? inWords(error) : `${from}: ${inWords(error)}`
}

const inWords = (error: CliError.NonShowHelpErrors): string => {
  switch (error._tag) {
    case "UnrecognizedOption":
      return `there is no flag ${error.option}${suggestion(error.suggestions)}`
    case "UnknownSubcommand":
      return `there is no command ${error.subcommand}${suggestion(error.suggestions)}`
    case "MissingOption":
      return `--${error.option} is missing`
    case "MissingArgument":
      return `${error.argument} is missing`
    default:
      // Of a path it says "Expected: Path does not exist".
      return error.message.replaceAll(/\s*\n\s*/g, " ").replace(/Expected: (?=Path )/, "")
  }
}

/** As the log writes, where it is JSON. Help and version that were asked for go to standard output. */
export const presenter = (say: Log.Say, origins?: Origins) =>
  CliOutput.layerPresenter({
    present: (event) =>
      event._tag === "InvalidInvocation"
        ? Effect.sync(() => {
          const { commandPath, errors, helpDoc } = event
          const command = commandPath.join(" ")
          // The value of an unknown flag often causes a second error: one cause is enough.
          const unknown = errors.filter(({ _tag }) => _tag === "UnrecognizedOption" || _tag === "UnknownSubcommand")
          const lines = new Set((unknown.length > 0 ? unknown : errors).map((error) => describe(error, origins)))
          for (const line of lines) say("ERROR", `${command}: ${line}`)
          say("INFO", `usage: ${helpDoc.usage} (${command} --help says more)`)
        })
        : CliOutput.defaultPresenter.present(event)
  })
