import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Agents from "../support/agents.ts"
import * as Figures from "./figures.ts"
import * as Rolling from "./Rolling.ts"

describe("instances that are restarted though their token may not put them into maintenance", () => {
  it.live.each(["http", "http2", "tcp"] as const)(
    "%s: no call fails that may be sent again",
    (protocol) =>
      Effect.gen(function*() {
        const ran = yield* Rolling.run({
          protocol,
          rate: 300,
          rounds: 5,
          start: (mesh, id) => {
            mesh.front.become(Agents.faults.denies, (path) => path.includes("/maintenance/") && path.includes("true"))
            return mesh.start(id)
          }
        })
        Figures.tell(`${protocol}, ${ran.restarts} restarts without maintenance mode`, ran)
        // A request that is not idempotent may have been carried out when its connection ends.
        for (const failure of ran.failures) assert.match(failure, /: POST: 503 .* connection termination$/)
      })
  )
})
