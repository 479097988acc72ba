import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Gateways from "../support/gateways.ts"
import * as Hellos from "../support/clientHellos.ts"
import * as HostileHellos from "../support/hostileHellos.ts"
import * as scrape from "../support/scrape.ts"
import * as sockets from "../support/sockets.ts"
import * as agent from "../support/consul.ts"

const { call, connect, eventually, say } = Gateways

const serviceOf = (peer: string) => peer.slice(peer.indexOf("/dc/"))

describe("MeshGateway", () => {
  it.live("passes connections on by the name that they ask for, unopened", () =>
    Effect.gen(function*() {
      const { dc1, sni } = yield* Gateways.one
      yield* dc1.service("api")
      yield* dc1.service("db")
      const gateway = yield* dc1.gateway()
      const web = yield* dc1.identity("web")
      const api = yield* eventually(call(gateway.port, web, sni("api")))
      assert.deepStrictEqual([api.answer, serviceOf(api.peer)], ["HELLO", "/dc/dc1/svc/api"])
      const db = yield* eventually(call(gateway.port, web, sni("db").toUpperCase()))
      assert.deepStrictEqual([db.answer, serviceOf(db.peer)], ["HELLO", "/dc/dc1/svc/db"])
      const [listener] = gateway.status().listeners
      assert.strictEqual(listener!.counts.accepted, 2)
    }))

  it.live("takes callers of another datacenter to their service through the gateway there", () =>
    Effect.gen(function*() {
      const { dc1, dc2, sni } = yield* Gateways.two
      yield* dc2.service("api")
      const here = yield* dc1.gateway()
      const there = yield* dc2.gateway()
      const web = yield* dc1.identity("web")
      const { answer, peer } = yield* eventually(call(here.port, web, sni("api", "dc2")))
      assert.deepStrictEqual([answer, serviceOf(peer)], ["HELLO", "/dc/dc2/svc/api"])
      assert.strictEqual(there.status().listeners[0]!.counts.accepted, 1)
      assert.strictEqual(here.status().listeners[0]!.counts.accepted, 1)
    }))

  it.live("finds whatever is registered with capitals: services, and datacenters", () =>
    Effect.gen(function*() {
      const { dc1, dc2, sni } = yield* Gateways.capitals
      yield* dc1.service("Api", { meta: { version: "2" } })
      yield* dc2.service("Db")
      yield* dc1.write({
        Kind: "service-resolver",
        Name: "Api",
        Subsets: { v2: { Filter: "Service.Meta.version == 2" } }
      })
      const gateway = yield* dc1.gateway()
      yield* dc2.gateway()
      const web = yield* dc1.identity("web")
      for (
        const name of [sni("Api", "DC1"), sni("api", "dc1"), sni("V2.API", "Dc1"), sni("Db", "DC2"), sni("db", "dc2")]
      ) {
        assert.strictEqual((yield* eventually(call(gateway.port, web, name))).answer, "HELLO", name)
      }
    }))

  it.live("goes on with those that it has while the line between the datacenters is cut", () =>
    Effect.gen(function*() {
      const { dc1, dc2, sni, wan } = yield* Gateways.two
      yield* dc2.service("api")
      const here = yield* dc1.gateway()
      yield* dc2.gateway()
      const web = yield* dc1.identity("web")
      yield* eventually(call(here.port, web, sni("api", "dc2")))
      wan.set("dc1", "dc2", { isCut: true })
      assert.strictEqual((yield* call(here.port, web, sni("api", "dc2"))).answer, "HELLO")
    }))

  it.live("follows the catalog: services come and go, and subsets are what their resolver says", () =>
    Effect.gen(function*() {
      const { dc1, sni } = yield* Gateways.one
      const gateway = yield* dc1.gateway()
      const web = yield* dc1.identity("web")
      assert.strictEqual((yield* Effect.exit(call(gateway.port, web, sni("api"))))._tag, "Failure")
      yield* dc1.service("api", { id: "api-1", meta: { version: "1" } })
      const second = yield* dc1.service("api", { id: "api-2", meta: { version: "2" } })
      yield* eventually(call(gateway.port, web, sni("api")))
      assert.strictEqual((yield* Effect.exit(call(gateway.port, web, sni("v2.api"))))._tag, "Failure")
      yield* dc1.write({
        Kind: "service-resolver",
        Name: "api",
        Subsets: { v2: { Filter: "Service.Meta.version == 2" } }
      })
      yield* eventually(call(gateway.port, web, sni("v2.api")))
      for (let i = 0; i < 4; i++) yield* call(gateway.port, web, sni("v2.api"))
      assert.isAtLeast(second.status().listeners[0]!.counts.accepted, 5)
      yield* dc1.deregister("api-2")
      yield* eventually(Effect.flip(call(gateway.port, web, sni("v2.api"))))
      assert.strictEqual((yield* eventually(call(gateway.port, web, sni("api")))).answer, "HELLO")
    }))

  it.live("goes to another instance where one does not answer", () =>
    Effect.gen(function*() {
      const { dc1, sni } = yield* Gateways.one
      const first = yield* dc1.service("api", { id: "api-1" })
      yield* dc1.service("api", { id: "api-2" })
      const gateway = yield* dc1.gateway()
      const web = yield* dc1.identity("web")
      yield* eventually(call(gateway.port, web, sni("api")))
      yield* first.stop // and its registration stays
      for (let i = 0; i < 4; i++) assert.strictEqual((yield* call(gateway.port, web, sni("api"))).answer, "HELLO")
    }))

  it.live("lets ends of streams through, and cuts what was cut", () =>
    Effect.gen(function*() {
      const { dc1, sni } = yield* Gateways.one
      yield* dc1.service("api")
      const gateway = yield* dc1.gateway()
      const web = yield* dc1.identity("web")
      yield* eventually(call(gateway.port, web, sni("api")))
      const open = yield* connect(gateway.port, web, sni("api"))
      yield* say(open, "a")
      const ended = yield* Effect.callback<string>((resume) => {
        open.socket.once("end", () => resume(Effect.succeed("ended")))
        open.socket.end()
      })
      assert.strictEqual(ended, "ended")
      const cut = yield* connect(gateway.port, web, sni("api"))
      yield* say(cut, "a")
      cut.transport.resetAndDestroy()
      yield* eventually(Effect.sync(() => assert.strictEqual(gateway.status().listeners[0]!.counts.open, 0)))
    }))

  describe("turned away", () => {
    it.live("is whatever leads to no service, and nobody hears of it", () =>
      scrape.fresh(Effect.gen(function*() {
        const { dc1, sni } = yield* Gateways.one
        const reached = yield* Gateways.trap(dc1, "api")
        yield* Gateways.trap(dc1, "db")
        const gateway = yield* dc1.gateway()
        const counts = () => gateway.status().listeners[0]!.counts
        // Whoever asks for the service gets there: the trap is none for the test.
        const good = Hellos.hello(Hellos.serverName(sni("api")))
        yield* eventually(Effect.map(Gateways.answerTo(gateway.port, good), () => assert.isAbove(reached(), 0)))
        const before = { reached: reached(), accepted: counts().accepted }
        for (const { bytes, reason, what } of HostileHellos.all) {
          const refused = counts().refused[reason] ?? 0
          assert.strictEqual(yield* Gateways.answerTo(gateway.port, bytes(sni)), "", what)
          assert.strictEqual(counts().refused[reason], refused + 1, `${what}: ${JSON.stringify(counts().refused)}`)
        }
        assert.deepStrictEqual({ reached: reached(), accepted: counts().accepted }, before)
        const samples = yield* scrape.samples
        for (const [reason, count] of Object.entries(counts().refused)) {
          const of = Object.keys(samples).find((name) =>
            name.startsWith("mesh_gateway_refusals_total{") && name.includes(`reason="${reason}"`)
          )
          assert.strictEqual(samples[of ?? reason], count)
        }
      })))

    it.live("is whoever does not say in time what it wants", () =>
      Effect.gen(function*() {
        const { dc1, sni } = yield* Gateways.one
        const gateway = yield* dc1.gateway({ config: { handshake_timeout_ms: 100 } })
        const bytes = Hellos.hello(Hellos.serverName(sni("api")))
        assert.strictEqual(yield* Gateways.answerTo(gateway.port, bytes.subarray(0, 50)), "")
        assert.deepStrictEqual(gateway.status().listeners[0]!.counts.refused, { too_slow: 1 })
      }))

    it.live("is nothing that connects and leaves without a word, as probes do", () =>
      Effect.gen(function*() {
        const { dc1 } = yield* Gateways.one
        const gateway = yield* dc1.gateway()
        const counts = () => gateway.status().listeners[0]!.counts
        const probe = yield* sockets.connect(gateway.port)
        yield* eventually(Effect.sync(() => assert.strictEqual(counts().handshaking, 1)))
        probe.destroy()
        yield* eventually(Effect.sync(() => assert.strictEqual(counts().handshaking, 0)))
        assert.deepStrictEqual(counts().refused, {})
      }))

    it.live("are those beyond the limits of the registration", () =>
      Effect.gen(function*() {
        const { dc1, sni } = yield* Gateways.one
        yield* dc1.service("api")
        const gateway = yield* dc1.gateway({ config: { max_inbound_connections: 1 } })
        const web = yield* dc1.identity("web")
        yield* eventually(call(gateway.port, web, sni("api")))
        const first = yield* eventually(connect(gateway.port, web, sni("api")))
        yield* Effect.flip(call(gateway.port, web, sni("api")))
        assert.strictEqual(yield* say(first, "still"), "STILL")
      }))
  })

  it.live("leaves without losing a call: it is in maintenance first, and what is open has its time", () =>
    Effect.gen(function*() {
      const { dc1, sni } = yield* Gateways.one
      yield* dc1.service("api")
      const gateway = yield* dc1.gateway({ shutdownDelay: "1 second", drain: "30 seconds" })
      const web = yield* dc1.identity("web")
      yield* eventually(call(gateway.port, web, sni("api")))
      const open = yield* connect(gateway.port, web, sni("api"))
      const leaving = yield* Effect.forkChild(gateway.leave, { startImmediately: true })
      yield* eventually(Effect.flatMap(
        dc1.call("checks", (api) => api.agent.checks({ query: {} })),
        ({ body }) => Effect.sync(() => assert.property(body, "_service_maintenance:mesh-gateway"))
      ))
      assert.strictEqual(yield* say(open, "still"), "STILL")
      open.socket.end()
      yield* Effect.promise(() => new Promise((resolve) => open.socket.once("close", resolve)))
      yield* Fiber.join(leaving)
      assert.strictEqual(gateway.status().phase, "gone")
      yield* Effect.flip(sockets.connect(gateway.port))
    }))

  it.live("listens where its registration says, also under several names", () =>
    Effect.gen(function*() {
      const { dc1, sni } = yield* Gateways.one
      yield* dc1.service("api")
      const other = yield* agent.freePort
      const gateway = yield* dc1.gateway({
        config: { envoy_gateway_bind_addresses: { more: { address: "127.0.0.1", port: other } } }
      })
      const web = yield* dc1.identity("web")
      yield* eventually(call(gateway.port, web, sni("api")))
      assert.strictEqual((yield* call(other, web, sni("api"))).answer, "HELLO")
      assert.deepStrictEqual(gateway.status().listeners.map(({ name }) => name), ["mesh default", "mesh more"])
    }))
})
