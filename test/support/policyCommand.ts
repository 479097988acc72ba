/** A command of `effect-mesh` in this process, which is much quicker than a process of its own. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { ConfigProvider, Console, Effect, Result, Runtime } from "effect"
import { Command } from "effect/cli"
import { policy } from "../../src/cli/policy.ts"

export interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** With these environment variables, and none of this machine. */
export const runCommand = <const Name extends string, Input, E extends { readonly message: string }, Context>(
  command: Command.Command<Name, Input, Context, E, never>
) =>
(env: { readonly [name: string]: string }, ...args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const before = process.exitCode
    const exit = yield* Command.runWith(command, { version: "0" })(args).pipe(
      Effect.provideService(Console.Console, { ...globalThis.console, log: (text: string) => lines.push(`${text}\n`) }),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })),
      Effect.provide(NodeServices.layer),
      Effect.result
    )
    const code = Number(process.exitCode ?? 0)
    process.exitCode = before
    return {
      code: Result.isFailure(exit) ? Runtime.getErrorExitCode(exit.failure) : code,
      out: lines.join(""),
      err: Result.isFailure(exit) ? String(exit.failure.message) : ""
    }
  })

export const runWith = runCommand(policy)

export const run = (...args: ReadonlyArray<string>) => runWith({}, ...args)
