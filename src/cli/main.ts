/** The executable: commands, what they need of the platform, and what becomes of their failures. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Layer, Option, Result, Runtime } from "effect"
import { CliError, Command } from "effect/cli"
import * as Teardown from "../native/Teardown.ts"
import * as Arguments from "./Arguments.ts"
import * as Commands from "./Commands.ts"
import { prepare } from "./executable.ts"
import * as Log from "./Log.ts"
import { UsageError } from "./proxy/Registered.ts"
import * as Sources from "./proxy/Sources.ts"
import * as Usage from "./Usage.ts"
import { version } from "./version.ts"
import * as Worker from "./workers/Worker.ts"

const written = Arguments.normalize(process.argv.slice(2))
const sourced = await Sources.read(written, process.env)
const { origins, strangers, ...rest } = Result.getOrElse(
  sourced,
  (): Sources.Sourced => ({ args: written, origins: new Map(), strangers: [] })
)
const args = Arguments.normalize(rest.args)
const say = Log.say({ logJson: Arguments.wantsJson(args) })

const command = Command.make("effect-mesh").pipe(
  Command.withDescription(
    "A service-mesh data plane for Consul.\n\n" +
      "Exit codes: 0 done, or stopped by Ctrl-C or SIGTERM; 1 an error, in the call or while running; 2 the answer to a " +
      "question about policy is no, or check has found something broken; 3 not everything that the answer depends on could be read."
  ),
  Command.withSubcommands(await Commands.load(args))
)

const report = (error: unknown) =>
  Effect.sync(() => {
    if (CliError.isCliError(error)) return // shown already
    say("ERROR", `effect-mesh: ${error instanceof Error ? error.message : String(error)}`)
  })

const teardown: Runtime.Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return Teardown.orderly(exit, onExit)
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  if (error === undefined) say("ERROR", `effect-mesh: a bug: ${Cause.pretty(exit.cause)}`)
  onExit(
    CliError.isCliError(error) && error._tag === "ShowHelp" && error.errors.length === 0
      ? 0
      : Runtime.getErrorExitCode(error)
  )
}

prepare(say, { isWorker: Worker.current !== undefined })
for (const name of strangers) say("INFO", `effect-mesh: ${name} is ignored: there is no such setting`)

const program = Effect.matchEffect(Effect.fromResult(sourced), {
  onFailure: (why) => Effect.fail(new UsageError({ why })),
  onSuccess: () => Command.runWith(command, { version })(args)
})

program.pipe(
  Effect.tapError(report),
  Effect.provideService(Sources.Origins, origins),
  Effect.provide(Layer.mergeAll(Usage.presenter(say, origins), NodeServices.layer)),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown })
)
