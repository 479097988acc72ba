import { assert, describe, it } from "@effect/vitest"
import * as Series from "../../../src/cli/top/Series.ts"

const text = `# HELP mesh_x_total x
# TYPE mesh_x_total counter
mesh_x_total{direction="inbound",source="a \\"b\\" \\\\ c",code="200"} 3
mesh_x_total{direction="inbound",source="web",code="503"} 4
mesh_x_total{direction="outbound",source="web",code="200"} 5
mesh_y 1.5e3
not a metric
`

describe("Series", () => {
  it("reads the text format of Prometheus", () => {
    const all = Series.parse(text)
    assert.deepStrictEqual(all.map(({ name, value }) => [name, value]), [
      ["mesh_x_total", 3],
      ["mesh_x_total", 4],
      ["mesh_x_total", 5],
      ["mesh_y", 1500]
    ])
    assert.deepStrictEqual(all[0]!.labels, { direction: "inbound", source: "a \"b\" \\ c", code: "200" })
  })

  it("adds up and lists what has the labels", () => {
    const all = Series.parse(text)
    assert.strictEqual(Series.sum(all, "mesh_x_total", { direction: "inbound" }), 7)
    assert.strictEqual(Series.sum(all, "mesh_x_total", {}), 12)
    assert.strictEqual(Series.sum(all, "mesh_z", {}), 0)
    assert.deepStrictEqual(Series.values(all, "mesh_x_total", { source: "web" }, "code"), ["503", "200"])
  })

  const histogram = (counts: Readonly<Record<string, number>>) =>
    Series.parse(Object.entries(counts).map(([le, count]) => `d_bucket{le="${le}"} ${count}`).join("\n"))

  it.each([
    [0.25, 0.05],
    [0.5, 0.1],
    [0.75, 0.55],
    [1, 1]
  ])("takes the quantile %d of what came between two readings within its bucket: %d", (share, expected) => {
    const before = histogram({ "0.1": 100, "1": 100, "+Inf": 100 })
    const after = histogram({ "+Inf": 120, "0.1": 110, "1": 120 })
    assert.approximately(Series.quantile(before, after, "d", {}, share)!, expected, 1e-9)
  })

  it("knows no quantile of nothing, and none beyond the last bound", () => {
    const reading = histogram({ "0.1": 3, "+Inf": 3 })
    assert.isUndefined(Series.quantile(reading, reading, "d", {}, 0.5))
    assert.strictEqual(Series.quantile([], histogram({ "0.1": 0, "+Inf": 3 }), "d", {}, 0.5), 0.1)
  })
})
