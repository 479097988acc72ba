import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as MetricCatalogue from "../../src/observe/MetricCatalogue.ts"

interface Target {
  readonly expr: string
  readonly legendFormat: string
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly targets?: ReadonlyArray<Target>
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
}

interface Dashboard {
  readonly panels: ReadonlyArray<Panel>
  readonly templating: { readonly list: ReadonlyArray<{ readonly name: string; readonly definition?: string }> }
}

const dashboard: Dashboard = JSON.parse(readFileSync(new URL("../../docs/grafana.json", import.meta.url), "utf8"))

const graphs = dashboard.panels.filter(({ type }) => type !== "row")
const queries = graphs.flatMap(({ targets = [], title }) => targets.map((target) => ({ title, ...target })))

const families = new Map(MetricCatalogue.all.map((family) => [family.name, family]))

/** A selector of a series, with its labels and what a function makes of it. */
const selectors = (expr: string) =>
  [...expr.matchAll(/(rate\()?(mesh_[a-z_]+)(\{[^}]*\})?(\[)?/g)].map(([, rate, name, labels = ""]) => {
    const family = families.get(name!) ?? families.get(name!.replace(/_(bucket|sum|count)$/, ""))
    return {
      name: name!,
      family,
      isRate: rate !== undefined,
      labels: [...labels.matchAll(/([a-z_]+)[=!]/g)].map(([, l]) => l!)
    }
  })

const grouped = (expr: string) => [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, labels]) => labels!.split(", "))

/** Those of a sidecar have its service besides. What several share has none. */
const shared = ["mesh_watch_", "mesh_agent_"]
const labelsOf = (
  { attributes, name }: MetricCatalogue.Counter | MetricCatalogue.Gauge | MetricCatalogue.Histogram
) => [
  ...attributes,
  ...(shared.some((prefix) => name.startsWith(prefix)) ? [] : ["service"])
]

describe("the dashboard for Grafana", () => {
  it.each(queries)("asks in “$title” for what there is: $expr", ({ expr, legendFormat }) => {
    const found = selectors(expr)
    assert.isAbove(found.length, 0)
    for (const { family, isRate, labels, name } of found) {
      assert.isDefined(family, `there is no metric ${name}`)
      for (const label of labels) assert.include(labelsOf(family!), label, name)
      assert.strictEqual(isRate, family!.type !== "gauge", `${name} is a ${family!.type}`)
      assert.strictEqual(name.endsWith("_bucket"), family!.type === "histogram", name)
    }
    const known = new Set(["le", ...found.flatMap(({ family }) => labelsOf(family!))])
    for (const label of grouped(expr)) assert.isTrue(known.has(label), `no label ${label}`)
    for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
      assert.include(grouped(expr), label!, "what the legend names is lost")
    }
  })

  it("shows every metric that there is", () => {
    const shown = new Set(queries.flatMap(({ expr }) => selectors(expr).map(({ family }) => family?.name)))
    assert.deepStrictEqual(MetricCatalogue.all.map(({ name }) => name).filter((name) => !shown.has(name)), [])
  })

  it("knows services by a metric that each sidecar has", () => {
    const { definition } = dashboard.templating.list.find(({ name }) => name === "service")!
    assert.strictEqual(definition, "label_values(mesh_sidecar_running, service)")
    assert.isTrue(families.has("mesh_sidecar_running"))
  })

  it("has panels that neither overlap nor share an id", () => {
    assert.strictEqual(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
    const cells = dashboard.panels.flatMap(({ gridPos: { h, w, x, y } }) =>
      Array.from({ length: h * w }, (_, i) => `${x + i % w} ${y + Math.floor(i / w)}`)
    )
    assert.strictEqual(new Set(cells).size, cells.length)
  })
})
