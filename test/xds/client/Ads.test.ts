import { assert, describe, it } from "@effect/vitest"
import * as Ads from "../../../src/xds/client/Ads.ts"
import * as State from "../../../src/xds/read/State.ts"

const node = { id: "web-sidecar-proxy" }

const cluster = (name: string, more: object = {}) => ({
  name,
  version: "1",
  unknown: [],
  json: { name, type: "EDS", eds_cluster_config: {}, ...more }
})

const clusters = (
  known: Ads.Known,
  resources: ReadonlyArray<ReturnType<typeof cluster>>,
  removed: ReadonlyArray<string> = []
) => Ads.receive(known, { typeUrl: State.types.clusters, nonce: "n", resources, removed })

const named = ({ requests }: Ads.Step) =>
  requests.filter(({ type_url }) => type_url === State.types.assignments).map((request) => [
    request.resource_names_subscribe,
    request.resource_names_unsubscribe
  ])

describe("Ads", () => {
  it("asks for the instances of clusters as these come, and lets go of them as they leave", () => {
    const first = clusters(Ads.begin(Ads.nothing, node).known, [cluster("a"), cluster("b")])
    assert.deepStrictEqual(named(first), [[["a", "b"], []]])
    const same = clusters(first.known, [cluster("a")])
    assert.deepStrictEqual(named(same), [])
    const other = clusters(same.known, [cluster("c")], ["a"])
    assert.deepStrictEqual(named(other), [[["c"], ["a"]]])
  })

  it("tells a new stream what it has, and asks for all of it again by name", () => {
    const { known } = clusters(Ads.begin(Ads.nothing, node).known, [cluster("a")])
    const again = Ads.begin(known, node)
    assert.deepStrictEqual(
      again.requests.map(({ initial_resource_versions, type_url }) => [
        type_url,
        initial_resource_versions
      ]),
      [
        [State.types.clusters, { a: "1" }],
        [State.types.listeners, {}],
        [State.types.assignments, {}]
      ]
    )
    assert.deepStrictEqual(named(again), [[["a"], []]])
  })

  it("does not claim to have what it does not understand", () => {
    const { flaws, known } = clusters(Ads.nothing, [cluster("a", { strange: true }), cluster("b")])
    assert.deepStrictEqual(flaws, ["the cluster a › strange"])
    assert.deepStrictEqual([...known.versions.clusters], [["b", "1"]])
    assert.deepStrictEqual([...known.state.clusters.keys()], ["b"])
  })

  it("keeps a cluster as it was understood when a later one is not", () => {
    const { known } = clusters(Ads.nothing, [cluster("a")])
    const later = clusters(known, [cluster("a", { strange: true })])
    assert.strictEqual(later.known.state.clusters.get("a"), known.state.clusters.get("a"))
    assert.deepStrictEqual([...later.known.state.flaws.values()], [["the cluster a › strange"]])
    const gone = clusters(later.known, [], ["a"])
    assert.deepStrictEqual([gone.known.state.clusters.size, gone.known.state.flaws.size], [0, 0])
  })

  it("refuses what nobody asked for", () => {
    const { flaws, known, requests } = Ads.receive(Ads.nothing, {
      typeUrl: "type.googleapis.com/envoy.service.runtime.v3.Runtime",
      nonce: "n",
      resources: [],
      removed: []
    })
    assert.strictEqual(known, Ads.nothing)
    assert.strictEqual(flaws.length, 1)
    assert.strictEqual(requests[0]?.error_detail?.code, 3)
  })
})
