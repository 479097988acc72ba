/** What was recorded of Consul's own Envoys, played in the two ways in which xDS takes part: see `test/parity`. Some minutes each. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../parity/main.ts", import.meta.url))

const play = (flag: string): Effect.Effect<{ readonly code: number; readonly output: string }> =>
  Effect.callback((resume) => {
    const child = execFile(
      process.execPath,
      [main, flag],
      (_, output, errors) => resume(Effect.succeed({ code: child.exitCode ?? -1, output: `${output}${errors}` }))
    )
    return Effect.sync(() => child.kill())
  })

describe("the recorded exchanges give what they gave", () => {
  it.live.each([
    ["real Envoys that the development agent tells what to do", "--envoy"],
    ["our sidecars that a real Consul tells what to do over xDS", "--xds"]
  ])("through %s", ([, flag]) =>
    Effect.gen(function*() {
      const { code, output } = yield* play(flag!)
      process.stdout.write(output.slice(output.indexOf("\narea ")))
      assert.strictEqual(code, 0, output)
    }), 900_000)
})
