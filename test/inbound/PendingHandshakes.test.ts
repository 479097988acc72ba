import { assert, describe, it } from "@effect/vitest"
import { Socket } from "node:net"
import * as PendingHandshakes from "../../src/inbound/PendingHandshakes.ts"

/** A socket of these addresses. */
const socket = (remotePort: number, localAddress = "127.0.0.1") =>
  Object.defineProperties(new Socket(), {
    remoteAddress: { value: "10.0.0.1" },
    remotePort: { value: remotePort },
    localAddress: { value: localAddress }
  })

describe("PendingHandshakes", () => {
  it("finds a transport by its addresses until it is closed", () => {
    const arrivals = PendingHandshakes.make<string>("127.0.0.1")
    const transport = socket(5000)
    arrivals.add(transport, "old")
    const arrival = arrivals.of(socket(5000))
    assert.strictEqual(arrival?.transport, transport)
    assert.deepStrictEqual([arrival?.remote, arrival?.material], ["10.0.0.1:5000", "old"])
    assert.isUndefined(arrivals.of(socket(5001)))
    transport.emit("close")
    assert.isUndefined(arrivals.of(socket(5000)))
    assert.strictEqual(arrivals.size(), 0)
  })

  it("tells connections to several addresses of this host apart", () => {
    const arrivals = PendingHandshakes.make<string>("0.0.0.0")
    arrivals.add(socket(5000, "127.0.0.1"), "one")
    arrivals.add(socket(5000, "127.0.0.2"), "two")
    assert.strictEqual(arrivals.of(socket(5000, "127.0.0.1"))?.material, "one")
    assert.strictEqual(arrivals.size(), 2)
  })

  it("keeps a connection whose caller has the port of one that is heard to close only now", () => {
    const arrivals = PendingHandshakes.make<string>("127.0.0.1")
    const [before, after] = [socket(5000), socket(5000)]
    arrivals.add(before, "before")
    arrivals.add(after, "after")
    before.emit("close")
    assert.strictEqual(arrivals.of(after)?.transport, after)
    after.emit("close")
    assert.strictEqual(arrivals.size(), 0)
  })
})
