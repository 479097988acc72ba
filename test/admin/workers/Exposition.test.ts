import { assert, describe, it } from "@effect/vitest"
import * as Exposition from "../../../src/admin/workers/Exposition.ts"

describe("metrics of several workers", () => {
  it("say of each series which worker it is of, and of each metric once what it is", () => {
    const of = (requests: number) =>
      [
        "# HELP mesh_http_requests_total HTTP requests {all}",
        "# TYPE mesh_http_requests_total counter",
        `mesh_http_requests_total{code="200",path="{a} b"} ${requests}`,
        `mesh_http_requests_total{code="503"} 0`,
        "# HELP mesh_up Whether",
        "# TYPE mesh_up gauge",
        "mesh_up 1",
        "mesh_up{} 2",
        ""
      ].join("\n")
    assert.deepStrictEqual(
      Exposition.merge([{ worker: 1, text: of(5) }, { worker: 3, text: of(7) }]).split("\n"),
      [
        "# HELP mesh_http_requests_total HTTP requests {all}",
        "# TYPE mesh_http_requests_total counter",
        `mesh_http_requests_total{worker="1",code="200",path="{a} b"} 5`,
        `mesh_http_requests_total{worker="1",code="503"} 0`,
        `mesh_http_requests_total{worker="3",code="200",path="{a} b"} 7`,
        `mesh_http_requests_total{worker="3",code="503"} 0`,
        "# HELP mesh_up Whether",
        "# TYPE mesh_up gauge",
        `mesh_up{worker="1"} 1`,
        `mesh_up{worker="1"} 2`,
        `mesh_up{worker="3"} 1`,
        `mesh_up{worker="3"} 2`,
        ""
      ]
    )
  })

  it("keep exemplars, and end as OpenMetrics has to", () => {
    const bucket = (count: number) =>
      `# TYPE mesh_seconds histogram\nmesh_seconds_bucket{le="0.1"} ${count} # {trace_id="4b"} 0.05 17.5\n# EOF\n`
    assert.deepStrictEqual(
      Exposition.merge([
        { worker: undefined, text: "# TYPE mesh_worker_running gauge\nmesh_worker_running{worker=\"1\"} 1\n# EOF\n" },
        { worker: 1, text: bucket(1) },
        { worker: 2, text: bucket(2) }
      ]).split("\n"),
      [
        "# TYPE mesh_worker_running gauge",
        `mesh_worker_running{worker="1"} 1`,
        "# TYPE mesh_seconds histogram",
        `mesh_seconds_bucket{worker="1",le="0.1"} 1 # {trace_id="4b"} 0.05 17.5`,
        `mesh_seconds_bucket{worker="2",le="0.1"} 2 # {trace_id="4b"} 0.05 17.5`,
        "# EOF",
        ""
      ]
    )
  })
})
