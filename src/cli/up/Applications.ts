/** The programs behind the services: child processes whose output is shown line by line under their name. */
import { Effect, Fiber, type PlatformError, Schema, type Scope, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { createServer } from "node:net"
import type * as MeshFile from "./MeshFile.ts"

/** An application could not be started, or ended too early. */
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
    const port = Number(env["PORT"] ?? 0)
    if (port > 0 && !(yield* isFree(port))) {
      return yield* new ApplicationFailed({
        service,
        why: `cannot be started: its port ${port} is taken by another program. End that one, or register another port`
      })
    }
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
    yield* killWithProcess(handle.pid)
    const last: Array<string> = []
    const printed = yield* handle.all.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach((line) => {
        last.push(line)
        if (last.length > 5) last.shift()
        return print(line)
      }),
      Effect.ignore,
      Effect.forkScoped
    )
    return {
      ended: handle.exitCode.pipe(
        Effect.mapError(failed),
        Effect.tap(Fiber.join(printed)),
        Effect.flatMap((code) =>
          new ApplicationFailed({
            service,
            why: [`ended by itself with exit code ${code}`, ...last.map((line) => `    ${line}`)].join("\n")
          })
        )
      )
    }
  })

/** A process that ends without closing its scopes must not leave its applications behind. */
const killWithProcess = (pid: ChildProcessSpawner.ProcessId) => {
  const kill = () => killGroup(pid)
  return Effect.acquireRelease(
    Effect.sync(() => process.on("exit", kill)),
    () => Effect.sync(() => process.off("exit", kill))
  )
}

const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(false)))
    server.listen({ port, host: "127.0.0.1" }, () => server.close(() => resume(Effect.succeed(true))))
  })

/** Applications lead process groups of their own, so that Ctrl-C in a terminal reaches them through their scope only. */
const killGroup = (pid: number): void => {
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // It has ended already.
  }
}
