import { assert, describe, it } from "@effect/vitest"
import { Equal } from "effect"
import * as AgentService from "../../src/consul/AgentService.ts"
import * as Proxy from "../../src/consul/Proxy.ts"
import * as NodeProxies from "../../src/watch/NodeProxies.ts"

const sidecar = (service: string) =>
  AgentService.AgentService.make({
    Kind: "connect-proxy",
    ID: `${service}-sidecar-proxy`,
    Service: `${service}-sidecar-proxy`,
    Proxy: Proxy.Proxy.make({ DestinationServiceName: service, DestinationServiceID: `${service}-1` })
  })

const names = (proxies: ReadonlyArray<NodeProxies.NodeProxy>) => proxies.map(({ service }) => service)

describe("NodeProxies", () => {
  it("are in one order, whatever that of the answer, so that nothing new is nothing new", () => {
    const one = NodeProxies.heard([], [sidecar("web"), sidecar("api")], false)
    const other = NodeProxies.heard(one, [sidecar("api"), sidecar("web")], false)
    assert.deepStrictEqual(names(one), ["api", "web"])
    assert.isTrue(Equal.equals(one, other))
  })

  it("are gone with an answer that is complete", () => {
    const before = NodeProxies.heard([], [sidecar("web"), sidecar("api")], false)
    assert.deepStrictEqual(names(NodeProxies.heard(before, [sidecar("db")], false)), ["db"])
  })

  it("stay where the token may no longer see them", () => {
    const before = NodeProxies.heard([], [sidecar("web"), sidecar("api")], false)
    assert.deepStrictEqual(names(NodeProxies.heard(before, [sidecar("db")], true)), ["api", "db", "web"])
  })

  it("are found by the ID of their service, in any case", () => {
    const all = NodeProxies.heard([], [sidecar("web"), sidecar("api")], false)
    assert.deepStrictEqual(names(NodeProxies.of(all, "WEB-1")), ["web"])
    assert.deepStrictEqual(NodeProxies.of(all, "web"), [])
  })
})
