import { assert, describe, it } from "@effect/vitest"
import * as Selection from "../../src/sidecar/Selection.ts"
import { NodeProxy } from "../../src/watch/NodeProxies.ts"

const proxy = (serviceId: string, proxyId = `${serviceId}-sidecar-proxy`) =>
  new NodeProxy({ proxyId, service: serviceId.split("-")[0]!, serviceId })

const ids = ({ chosen }: Selection.Selection) => chosen.map(({ proxyId }) => proxyId)

const select = (
  wanted: Selection.Wanted,
  proxies: ReadonlyArray<NodeProxy>,
  serving: ReadonlyArray<string> = []
) => Selection.select(wanted, proxies, new Set(serving), "http://agent")

describe("Selection", () => {
  it("takes all sidecars of a node, two of one service included", () => {
    const selection = select("node", [proxy("web-1"), proxy("web-2"), proxy("api")])
    assert.deepStrictEqual(ids(selection), ["web-1-sidecar-proxy", "web-2-sidecar-proxy", "api-sidecar-proxy"])
    assert.deepStrictEqual(selection.missing, [])
  })

  it("takes those of the services that are named, whatever the case of the name, and misses the others", () => {
    const selection = select(["WEB", "db"], [proxy("web"), proxy("api")])
    assert.deepStrictEqual(ids(selection), ["web-sidecar-proxy"])
    assert.deepStrictEqual(selection.missing.map(({ name }) => name), ["db"])
    assert.include(selection.missing[0]!.why, "no sidecar is registered for a service with the ID db")
  })

  it("chooses none of several sidecars of a service, and stays with the one that is served", () => {
    const both = [proxy("web", "a"), proxy("web", "b")]
    const undecided = select(["web"], both)
    assert.deepStrictEqual(ids(undecided), [])
    assert.include(undecided.missing[0]!.why, "choose one with --proxy-id, of a, b")
    const decided = select(["web"], both, ["b"])
    assert.deepStrictEqual(ids(decided), ["b"])
    assert.deepStrictEqual(decided.missing, [])
  })
})
