/** The programs behind the services: child processes whose output is shown line by line under their name. */
import { Effect, type PlatformError, Schema, type Scope, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import type * as MeshFile from "./MeshFile.ts"

/** An application could not be started, or ended though it should have gone on. */
export class ApplicationFailed extends Schema.TaggedError<ApplicationFailed>()("ApplicationFailed", {
  service: Schema.String,
  why: Schema.String
}) {
  override readonly message = `the application of ${this.service} ${this.why}`
}

/** How long an application may take to end after SIGTERM, before it is killed. */
const grace = "5 seconds"

/**
 * Starts it and returns. When the scope closes it is asked to end (SIGTERM, then SIGKILL).
 * `env` wins over the environment of this process; `print` is given whole lines.
 */
export const start = (
  application: MeshFile.Application,
  env: Readonly<Record<string, string>>,
  print: (line: string) => Effect.Effect<void>
): Effect.Effect<
  { readonly ended: Effect.Effect<never, ApplicationFailed> },
  ApplicationFailed,
  ChildProcessSpawner.ChildProcessSpawner | Scope.Scope
> =>
  Effect.gen(function*() {
    const { service } = application
    const [program, ...args] = application.command
    const failed = (error: PlatformError.PlatformError) =>
      new ApplicationFailed({
        service,
        why: `cannot be started: ${program} in ${application.cwd}: ${error.reason.message}`
      })
    const handle = yield* ChildProcess.make(program === "node" ? process.execPath : program, args, {
      cwd: application.cwd,
      env: { ...env, ...application.env },
      extendEnv: true,
      stdin: "ignore",
      killSignal: "SIGTERM",
      forceKillAfter: grace
    }).pipe(Effect.mapError(failed))
    yield* handle.all.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach(print),
      Effect.ignore,
      Effect.forkScoped
    )
    return {
      ended: handle.exitCode.pipe(
        Effect.mapError(failed),
        Effect.flatMap((code) => new ApplicationFailed({ service, why: `ended by itself with exit code ${code}` }))
      )
    }
  })
