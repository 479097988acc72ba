/** Programs beside a test, which are gone when its scope has closed. */
import { Effect, type Scope } from "effect"
import { spawn } from "node:child_process"

export const run = (
  command: string,
  commandArguments: ReadonlyArray<string>
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(command, commandArguments, { stdio: "ignore" })
      // One that did not start is not waited for: what it was started for says so.
      child.on("error", () => {})
      return child
    }),
    (child) =>
      Effect.callback<void>((done) => {
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return done(Effect.void)
        child.once("exit", () => done(Effect.void))
        child.kill("SIGKILL")
      })
  ).pipe(Effect.asVoid)
