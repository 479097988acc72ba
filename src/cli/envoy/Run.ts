/** An Envoy as a child process: with what it starts with in a file that only we can read, and with our signals. */
import { Effect, type PlatformError, Runtime, Schema, type Scope, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Bootstrap from "./Bootstrap.ts"

/** It could not be started, or ended by itself. */
export class EnvoyEnded extends Schema.TaggedError<EnvoyEnded>()("EnvoyEnded", {
  why: Schema.String,
  exitCode: Schema.Int
}) {
  override readonly message = this.why
  override readonly [Runtime.errorExitCode] = this.exitCode
}

export interface Options {
  readonly binary: string
  readonly bootstrap: Bootstrap.Options
  readonly args: ReadonlyArray<string>
  /** Whether it writes to where this process writes. Otherwise each line is handed over. */
  readonly output: "inherit" | ((line: string) => Effect.Effect<void>)
}

/** How long it may take to end after SIGTERM. */
const grace = "10 seconds"

/** Starts it. It is asked to end when the scope closes. */
export const start = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<
  { readonly ended: Effect.Effect<void, EnvoyEnded> },
  EnvoyEnded,
  ChildProcessSpawner.ChildProcessSpawner | Scope.Scope
> {
  const { output } = options
  const file = yield* written(options.bootstrap)
  const failed = (error: PlatformError.PlatformError) =>
    new EnvoyEnded({
      why:
        `${options.binary} cannot be started: ${error.reason.message}. Install Envoy, or name it with --envoy-binary`,
      exitCode: 1
    })
  const handle = yield* ChildProcess.make(options.binary, argumentsOf(file, options.args), {
    stdin: "ignore",
    ...(output === "inherit" && { stdout: "inherit", stderr: "inherit" }),
    killSignal: "SIGTERM",
    forceKillAfter: grace
  }).pipe(Effect.mapError(failed))
  yield* passedOn("SIGUSR1", handle.pid)
  if (output !== "inherit") {
    yield* handle.all.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach(output),
      Effect.ignore,
      Effect.forkScoped
    )
  }
  return {
    ended: handle.exitCode.pipe(
      Effect.mapError(failed),
      Effect.flatMap((code) =>
        code === 0
          ? Effect.void
          : new EnvoyEnded({ why: `Envoy ended with exit code ${code}: its log says why`, exitCode: code })
      )
    )
  }
})

/** Several on one machine would take each other for a restart of themselves. */
const argumentsOf = (file: string, given: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...["--config-path", file],
  ...(given.some((arg) => /^--(restart-epoch|base-id|use-dynamic-base-id|disable-hot-restart)\b/.test(arg))
    ? []
    : ["--disable-hot-restart"]),
  ...given
]

/** The token is in it. */
const written = (bootstrap: Bootstrap.Options): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const folder = await mkdtemp(join(tmpdir(), "effect-mesh-envoy-"))
      const file = join(folder, "bootstrap.json")
      await writeFile(file, JSON.stringify(Bootstrap.make(bootstrap)), { mode: 0o600 })
      return { file, folder }
    }),
    ({ folder }) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  ).pipe(Effect.map(({ file }) => file))

/** Log files are opened anew. */
const passedOn = (signal: NodeJS.Signals, pid: number) => {
  const pass = () => {
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended already.
    }
  }
  return Effect.acquireRelease(
    Effect.sync(() => process.on(signal, pass)),
    () => Effect.sync(() => process.off(signal, pass))
  )
}
