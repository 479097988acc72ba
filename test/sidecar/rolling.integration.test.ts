/** What `npm run test:faults` does for minutes and with processes, for a moment. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Rolling from "../faults/Rolling.ts"

describe("a rolling restart", () => {
  it.live.each(["http", "http2", "tcp"] as const)("loses no call over %s", (protocol) =>
    Effect.gen(function*() {
      const { failures, sent } = yield* Rolling.run({
        protocol,
        rate: 100,
        rounds: 1,
        start: (mesh, id) => mesh.start(id)
      })
      assert.deepStrictEqual(failures, [], `${failures.length} of ${sent}`)
      assert.isAbove(sent, 50)
    }))
})
