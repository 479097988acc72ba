import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as MetricCatalogue from "../../src/observe/MetricCatalogue.ts"
import * as Refusal from "../../src/tls/Refusal.ts"

const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8")

/** The cells of the rows whose first one is a name of ours. */
const documented = page
  .split("\n")
  .filter((line) => line.startsWith("| `mesh_"))
  .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()))

describe("the reasons of refusals", () => {
  it("are those in the documentation", () => {
    const [list] = page.split("### Reasons\n\n")[1]!.split("\n\n")
    assert.deepStrictEqual([...list!.matchAll(/`([^`]+)`/g)].map(([, name]) => name), Object.values(Refusal.reasons))
  })
})

describe("the catalogue of metrics", () => {
  it("is the one in the documentation: names, types, attributes", () => {
    const row = (name: string, type: string, attributes: ReadonlyArray<string>) =>
      `${name} ${type} ${attributes.join(" ")}`
    assert.deepStrictEqual(
      documented.map(([name, type, , attributes]) =>
        row(name!.replaceAll("`", ""), type!, attributes!.split(", ").map((each) => each.replaceAll("`", "")))
      ),
      MetricCatalogue.all.map(({ attributes, name, type }) => row(name, type, attributes))
    )
  })

  it("lists every metric that there is", () => {
    const exported = Object.values(MetricCatalogue).flatMap((value) =>
      typeof value === "object" && "type" in value ? [value.name] : []
    )
    assert.deepStrictEqual(MetricCatalogue.all.map(({ name }) => name).toSorted(), exported.toSorted())
  })

  it.each(documented.map(([name, type, unit]) => ({ name: name!.replaceAll("`", ""), type, unit: unit! })))(
    "$name says its unit",
    ({ name, type, unit }) => {
      assert.match(name, /^mesh_[a-z_]+$/)
      assert.strictEqual(name.endsWith("_total"), type === "counter")
      assert.strictEqual(name.endsWith("seconds"), unit.startsWith("seconds"))
      assert.strictEqual(name.includes("bytes"), unit === "bytes")
    }
  )
})
