import { assert, describe, it } from "@effect/vitest"
import * as Start from "./start.ts"
import { fileURLToPath } from "node:url"

describe("npm run bench -- start", () => {
  it("starts a sidecar, and looks at it", async () => {
    const bin = fileURLToPath(new URL("../../src/cli/bin.ts", import.meta.url))
    const rows = await Start.run(bin, Start.short)
    for (const { samples, what } of rows) {
      assert.strictEqual(samples["sidecar"]?.length, 1, what)
      assert.isAbove(samples["sidecar"]![0]!, 0, what)
    }
  }, 120_000)

  it("divides round by round", () => {
    const text = Start.format([
      { what: "memory", unit: " MB", more: false, samples: { sidecar: [100, 120], envoy: [50, 40] } }
    ])
    assert.match(text, /memory +120 MB +50\.0 MB +3\.00 \(2\.00 to 3\.00\)/)
  })
})
