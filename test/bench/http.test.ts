import { assert, describe, it } from "@effect/vitest"
import * as Profile from "./http/profile.ts"
import * as Http from "./http.ts"

describe("npm run bench -- http", () => {
  it(
    "puts every load through our sidecars and through plain Node, and looks at what the application sees",
    async () => {
      const result = await Http.run(Http.short)
      assert.deepStrictEqual(result.missing, [])
      assert.deepStrictEqual(result.added["direct"], [])
      assert.deepStrictEqual(result.added["node"], ["x-request-id", "x-forwarded-client-cert"])
      for (const { samples, what } of result.rows.filter(({ more }) => more)) {
        for (const name of Http.short.competitors) assert.isAbove(samples[name]![0]!, 0, `${what}: ${name}`)
      }
    },
    180_000
  )

  it("divides by Envoy's rounds, and says who is not found", () => {
    const samples = { sidecars: [300, 100, 480], "envoy, http/1.1": [200, 100, 240] }
    const rows = [{ what: "small", unit: "/s", more: true, samples }]
    const added = { sidecars: [], "envoy, http/1.1": ["x-request-id"] }
    const text = Http.format({ rows, found: ["sidecars", "envoy, http/1.1"], missing: ["haproxy"], added })
    assert.match(text, /^small +300\/s +200\/s +not found$/m)
    assert.match(text, /^small +1\.50 \(1\.00 to 2\.00\)$/m)
    assert.include(text, "OUR SIDECARS WORK AT LAYER 4")
  })

  it("sums a profile up by what ran while the load was on", () => {
    const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 6 })
    const profile = {
      nodes: [
        { id: 1, callFrame: frame("(idle)", "") },
        { id: 2, callFrame: frame("(program)", "") },
        { id: 3, callFrame: frame("relay", "file:///here/src/http/relay.ts") },
        { id: 4, callFrame: frame("", "file:///here/node_modules/effect/dist/Effect.js") }
      ],
      startTime: 1_000_000,
      samples: [3, 1, 2, 3, 4],
      timeDeltas: [9000, 10_000, 5000, 10_000, 5000]
    }
    const summary = Profile.summarize(profile, { from: 1010, until: 1100 })
    assert.closeTo(summary.busy, 2 / 3, 1e-9)
    assert.deepStrictEqual(summary.groups, [["src", 0.5], ["native", 0.25], ["effect", 0.25]])
    assert.deepStrictEqual(summary.functions, [
      ["relay  src/http/relay.ts:7", 0.5],
      ["(program)", 0.25],
      ["anonymous  effect/dist/Effect.js:7", 0.25]
    ])
  })
})
