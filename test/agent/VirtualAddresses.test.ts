import { assert, describe, it } from "@effect/vitest"
import * as CatalogStore from "../../src/agent/CatalogStore.ts"
import * as Store from "../../src/agent/Store.ts"
import * as VirtualAddresses from "../../src/agent/VirtualAddresses.ts"
import * as Health from "../../src/consul/Health.ts"
import * as Proxy from "../../src/consul/Proxy.ts"

const node = Health.Node.make({ Node: "n", Address: "127.0.0.1", Datacenter: "dc1" })
const proxyOf = (service: string, Port: number) =>
  Health.NodeService.make({
    Kind: "connect-proxy",
    ID: `${service}-${Port}`,
    Service: `${service}-sidecar-proxy`,
    Port,
    Proxy: Proxy.CatalogProxy.make({ DestinationServiceName: service })
  })

describe("virtual addresses", () => {
  it("go to what is in the mesh, in the order in which it comes, and stay with it", () => {
    const store = Store.make()
    const catalog = CatalogStore.make(store)
    const put = (service: Health.NodeService) => catalog.change((transaction) => transaction.putService("n", service))
    catalog.change((transaction) => transaction.putNode(node))
    put(Health.NodeService.make({ ID: "db", Service: "db", Port: 5432 }))
    put(proxyOf("api", 20_000))
    put(proxyOf("web", 20_001))
    put(proxyOf("API", 20_002))
    put(Health.NodeService.make({ ID: "mail", Service: "mail", Port: 25, Connect: { Native: true } }))
    const tagged = Object.fromEntries(
      [...catalog.node("n")?.services.values() ?? []].map(({ ID, TaggedAddresses }) => [ID, TaggedAddresses])
    )
    assert.deepStrictEqual(tagged, {
      db: {},
      "api-20000": { "consul-virtual": { Address: "240.0.0.1", Port: 20_000 } },
      "web-20001": { "consul-virtual": { Address: "240.0.0.2", Port: 20_001 } },
      "API-20002": { "consul-virtual": { Address: "240.0.0.1", Port: 20_002 } },
      mail: { "consul-virtual": { Address: "240.0.0.3", Port: 25 } }
    })
    // The same registration again changes nothing.
    const { ModifyIndex } = catalog.node("n")!.services.get("api-20000")!
    put(proxyOf("api", 20_000))
    assert.strictEqual(catalog.node("n")!.services.get("api-20000")!.ModifyIndex, ModifyIndex)
    // A service that has been away has its address again.
    catalog.change((transaction) => transaction.removeService("n", "api-20000"))
    put(proxyOf("api", 20_000))
    assert.strictEqual(
      catalog.node("n")!.services.get("api-20000")!.TaggedAddresses["consul-virtual"]?.Address,
      "240.0.0.1"
    )
  })

  it.each([[1, "240.0.0.1"], [256, "240.0.1.0"], [2 ** 24, "241.0.0.0"], [2 ** 28 - 2, "255.255.255.254"]])(
    "number %d is %s",
    (number, address) => assert.strictEqual(VirtualAddresses.format(number), address)
  )
})
