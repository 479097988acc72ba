/** `effect-mesh proxy`, or a gateway, as a process of its own, as operators run it. */
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect, Schema, type Scope } from "effect"

export class NotStarted extends Schema.TaggedError<NotStarted>()("NotStarted", { output: Schema.String }) {
  override readonly message = `effect-mesh did not start: ${this.output}`
}

export interface Running {
  readonly pid: number
  /** Of both streams, so far. */
  readonly output: () => string
  /** SIGKILL. */
  readonly kill: Effect.Effect<number | null>
  /** SIGTERM, and the exit code. */
  readonly stop: Effect.Effect<number | null>
  /** Waits for its end: the exit code. */
  readonly exited: Effect.Effect<number | null>
}

/** `MESH_BIN` names a built one: it starts in a quarter of the time. */
const program = process.env["MESH_BIN"] ?? fileURLToPath(new URL("../../src/cli/bin.ts", import.meta.url))

const exited = (child: ChildProcess): Effect.Effect<number | null> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.succeed(child.exitCode))
    child.once("exit", (code) => resume(Effect.succeed(code)))
  })

export interface Options {
  readonly args: ReadonlyArray<string>
  /** Default: `proxy`. */
  readonly command?: "proxy" | "gateway"
  readonly env?: Readonly<Record<string, string>>
  /** What it is run by, such as `unshare --fork`. */
  readonly under?: ReadonlyArray<string>
}

/** Ready when it has told that it listens. It is gone when the scope has closed. */
export const start = Effect.fnUntraced(function*(
  { args, command: subcommand = "proxy", env = {}, under = [] }: Options
): Effect.fn.Return<Running, NotStarted, Scope.Scope> {
  const [command, ...rest] = [...under, process.execPath, program, subcommand, ...args]
  let output = ""
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(command!, rest, { stdio: "pipe", env: { ...process.env, ...env } })),
    (child) =>
      Effect.suspend(() => {
        child.kill("SIGKILL")
        return exited(child)
      })
  )
  yield* Effect.callback<void, NotStarted>((resume) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      if (/ is spiffe:| is an? [a-z]+-gateway/.test(output)) resume(Effect.void)
    }
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    child.once("error", ({ message }) => resume(Effect.fail(new NotStarted({ output: message }))))
    child.once("exit", () => resume(Effect.fail(new NotStarted({ output }))))
  })
  return {
    pid: child.pid!,
    output: () => output,
    exited: exited(child),
    kill: Effect.suspend(() => {
      child.kill("SIGKILL")
      return exited(child)
    }),
    stop: Effect.suspend(() => {
      child.kill("SIGTERM")
      return exited(child)
    })
  }
})
