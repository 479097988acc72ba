import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Figures from "./figures.ts"
import * as Rolling from "./Rolling.ts"
import * as SidecarProcess from "../support/sidecarProcess.ts"

describe("both instances of a service, restarted ten times under 500 calls a second", () => {
  it.live.each(
    [["http", 1], ["http2", 1], ["tcp", 1], ["http", 2], ["tcp", 2]] as const
  )("%s, with %i workers: no call fails", ([protocol, workers]) =>
    Effect.gen(function*() {
      const ran = yield* Rolling.run({
        protocol,
        rate: 500,
        rounds: 10,
        start: (mesh, id) =>
          Effect.map(
            SidecarProcess.start({
              args: [
                "--proxy-id",
                `${id}-sidecar-proxy`,
                "--http-addr",
                mesh.front.address,
                "--shutdown-delay",
                "1",
                "--drain-timeout",
                "10",
                "--workers",
                String(workers)
              ]
            }),
            ({ stop }) => ({ stop: Effect.map(stop, (code) => assert.strictEqual(code, 0)) })
          )
      })
      // A machine that is too slow for the rate leaves calls out: the one that was kept up is told.
      const rate = Math.round(ran.sent / ran.seconds)
      Figures.tell(
        `${protocol}, workers ${workers}, ${ran.restarts} restarts in ${
          Math.round(ran.seconds)
        } s, ${rate} calls a second`,
        ran
      )
      assert.deepStrictEqual(ran.failures, [], `${ran.failures.length} of ${ran.sent}`)
    }), 600_000)
})
