/** The command line as users start it, for tests that run beside each other. */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../../src/cli/bin.ts", import.meta.url))

export interface Program {
  readonly process: ChildProcess
  readonly printed: () => string
  /** Of it, what went to standard output. */
  readonly output: () => string
  /** Waits for the end; the exit code. */
  readonly ended: Effect.Effect<number | null>
}

/** Starts the command line as a user would, without settings of this machine. Killed when the scope closes. */
export const mesh = (...args: ReadonlyArray<string>): Effect.Effect<Program, never, Scope.Scope> =>
  meshWith({}, ...args)

/** The same with these variables. */
export const meshWith = (
  variables: Readonly<Record<string, string>>,
  ...args: ReadonlyArray<string>
): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const own = Object.entries(process.env).filter(([name]) => !/^(CONSUL|CONNECT|EFFECT_MESH)_/.test(name))
      const env = { ...Object.fromEntries(own), ...variables }
      const child = spawn(process.execPath, [bin, ...args], { env, stdio: ["ignore", "pipe", "pipe"] })
      let text = ""
      let output = ""
      child.stdout.on("data", (data: Buffer) => {
        text += data
        output += data
      })
      child.stderr.on("data", (data: Buffer) => text += data)
      const ended = Effect.callback<number | null>((resume) => {
        if (child.exitCode !== null) return resume(Effect.succeed(child.exitCode))
        child.once("close", (code) => resume(Effect.succeed(code)))
      })
      return { process: child, printed: () => text, output: () => output, ended }
    }),
    ({ process }) => Effect.sync(() => process.exitCode ?? process.kill("SIGKILL"))
  )

/** Waits for its end. */
export const run = (...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const program = yield* mesh(...args)
    const code = yield* program.ended
    return { code, printed: program.printed(), output: program.output() }
  })
