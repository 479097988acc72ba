import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const program = (effect: string) => `
  import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
  import { Console, Effect } from "effect"
  import * as Teardown from "${new URL("../../src/native/Teardown.ts", import.meta.url).href}"
  NodeRuntime.runMain(${effect}, { teardown: Teardown.orderly, disableErrorReporting: true })
`

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Its exit code. It is sent SIGTERM once it has printed something. */
const run = (effect: string) =>
  Effect.callback<number | null>((resume) => {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program(effect)], { cwd: root })
    child.stdout.once("data", () => child.kill("SIGTERM"))
    child.once("close", (code) => resume(Effect.succeed(code)))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

describe("Teardown.orderly", () => {
  it.live("ends a program with 0 that SIGTERM has stopped, and with 1 one that failed", () =>
    Effect.gen(function*() {
      const stopped = yield* run(`Effect.andThen(Console.log("up"), Effect.never)`)
      const failed = yield* run(`Effect.fail("on purpose")`)
      assert.deepStrictEqual([stopped, failed], [0, 1])
    }))
})
