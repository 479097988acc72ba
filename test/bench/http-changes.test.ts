import { assert, describe, it } from "@effect/vitest"
import * as HttpChanges from "./http-changes.ts"

describe("npm run bench -- http-changes", () => {
  it("fails no request while entries, the root and the agent change", async () => {
    const rows = await HttpChanges.run({ rate: 100, millis: 100, rounds: 1, leafSeconds: 3600 })
    assert.deepStrictEqual(rows.flatMap(({ change, failures }) => failures.map((what) => `${change}: ${what}`)), [])
    assert.isAbove(rows.reduce((sum, { sent }) => sum + sent, 0), 50)
  })
})
