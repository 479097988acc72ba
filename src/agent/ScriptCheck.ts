/** One run of a script check. Only where the agent may run programs: every client of its API chooses them. */
import { spawn } from "node:child_process"
import { Duration, Effect } from "effect"
import type * as CheckDefinition from "./CheckDefinition.ts"
import type * as ProbeCheck from "./ProbeCheck.ts"

type Script = Extract<CheckDefinition.Run, { readonly _tag: "Script" }>

/** Exit code 0 is passing, 1 warning, anything else critical; a program that takes too long is killed with its children. */
export const run = ({ args, maximumOutput, period }: Script): Effect.Effect<ProbeCheck.Outcome> =>
  Effect.callback<ProbeCheck.Outcome>((resume) => {
    const [program = "", ...rest] = args
    const child = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"], detached: true })
    let output = Buffer.alloc(0)
    const keep = (chunk: Buffer) => {
      output = Buffer.concat([output, chunk]).subarray(-maximumOutput)
    }
    child.stdout.on("data", keep)
    child.stderr.on("data", keep)
    const end = (status: ProbeCheck.Outcome["status"], text: string) => resume(Effect.succeed({ status, output: text }))
    child.once("error", (error) => end("critical", error.message))
    child.once(
      "close",
      (code) => end(code === 0 ? "passing" : code === 1 ? "warning" : "critical", output.toString("utf8"))
    )
    return Effect.sync(() => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
      } catch {
        // It has ended already.
      }
    })
  }).pipe(
    Effect.timeoutOrElse({
      duration: period.timeout,
      orElse: () =>
        Effect.succeed(
          {
            status: "critical",
            output: `Timed out (${Duration.format(period.timeout)}) running check`
          } as const
        )
    })
  )
