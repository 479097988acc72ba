/** Calls from one datacenter to another, past gateways and through them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Schema } from "effect"
import { HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as Resolver from "../../src/outbound/Resolver.ts"
import * as Gateways from "../support/gateways.ts"
import * as sockets from "../support/sockets.ts"

const { eventually } = Gateways

/** One connection through an upstream: what comes back. */
const say = (port: number, text = "hello") =>
  Effect.scoped(Effect.flatMap(sockets.connect(port), (socket) =>
    Effect.callback<string, string>((resume) => {
      socket.once("data", (data: Buffer) => resume(Effect.succeed(data.toString())))
      socket.once("error", (error) => resume(Effect.fail(error.message)))
      socket.once("close", () => resume(Effect.fail("closed")))
      socket.write(text)
    })))

const works = (port: number) => Effect.tap(say(port), (said) => Effect.sync(() => assert.strictEqual(said, "HELLO")))

/** How many connections came by each of two gateways. */
const counts = (
  ...gateways: ReadonlyArray<Effect.Success<ReturnType<Effect.Success<typeof Gateways.one>["dc1"]["gateway"]>>>
) => gateways.map((gateway) => gateway.status().listeners[0]!.counts.accepted)

const toApi = { DestinationName: "api", Datacenter: "dc2" }

type Datacenter = Effect.Success<typeof Gateways.two>["dc1"]

/** `web` as an application that is in the mesh itself. */
const native = Effect.fnUntraced(function*({ consul }: Datacenter, service = "web") {
  const context = yield* Layer.build(
    MeshHttpClient.layer().pipe(Layer.provideMerge(Mesh.layer({ service })))
  ).pipe(Effect.provideContext(consul))
  const client = yield* Effect.provideContext(HttpClient.HttpClient, context)
  const dialer = yield* Effect.provideContext(MeshDialer.MeshDialer, context)
  return {
    get: (host: string) => Effect.flatMap(client.get(`http://${host}/`), (response) => response.text),
    dial: (to: Resolver.Input) =>
      Effect.scoped(Effect.map(dialer.dial(to), ({ peer, sni }) => ({ datacenter: peer.datacenter, sni })))
  }
})

/** An HTTP service that is in the mesh itself, and says which datacenter it is in. */
const serve = Effect.fnUntraced(function*(datacenter: Datacenter, service: string) {
  const routes = HttpRouter.serve(
    HttpRouter.add("GET", "/*", Effect.succeed(HttpServerResponse.text(datacenter.name))),
    { disableLogger: true, disableListenLog: true }
  )
  const context = yield* Layer.build(
    routes.pipe(
      Layer.provideMerge(MeshHttpServer.layer({ host: "127.0.0.1", port: 0, drain: 0 })),
      Layer.provide(Mesh.layer({ service }))
    )
  ).pipe(Effect.provideContext(datacenter.consul))
  const { port } = yield* Effect.provideContext(MeshHttpServer.MeshHttpServer, context)
  yield* datacenter.put({ Name: service, Port: port, Address: "127.0.0.1", Connect: { Native: true } })
})

const gatewayMode = (Mode: string): Schema.JsonObject => ({ MeshGateway: { Mode } })

describe("another datacenter", () => {
  it.live("is dialled directly where nothing is said of gateways, and where it is said that there are none", () =>
    Effect.gen(function*() {
      const { dc1, dc2 } = yield* Gateways.two
      yield* dc2.service("api")
      const [here, there] = [yield* dc1.gateway(), yield* dc2.gateway()]
      yield* dc1.write({ Kind: "proxy-defaults", Name: "global", ...gatewayMode("local") })
      const { ports: [port] } = yield* dc1.caller("web", [{ ...toApi, ...gatewayMode("none") }])
      yield* eventually(works(port!))
      assert.deepStrictEqual(counts(here, there), [0, 0])
    }))

  it.live("is reached through its own gateways, or through ours as well, as the nearest setting says", () =>
    Effect.gen(function*() {
      const { dc1, dc2 } = yield* Gateways.two
      yield* dc2.service("api")
      const [here, there] = [yield* dc1.gateway(), yield* dc2.gateway()]
      yield* dc1.write({ Kind: "proxy-defaults", Name: "global", ...gatewayMode("none") })
      const { ports: [remote, local] } = yield* dc1.caller(
        "web",
        [toApi, { ...toApi, DestinationName: "api2", ...gatewayMode("local") }],
        gatewayMode("remote")
      )
      yield* eventually(works(remote!))
      const first = counts(here, there)
      assert.strictEqual(first[0], 0)
      assert.isAtLeast(first[1]!, 1)
      // Another name for it, with the setting of its own upstream.
      yield* dc1.write({ Kind: "service-resolver", Name: "api2", Redirect: { Service: "api" } })
      yield* eventually(works(local!))
      assert.isAtLeast(counts(here)[0]!, 1)
      // Each connection is one to the gateway: none shares a tunnel, which would end at one instance.
      const [before] = counts(here)
      for (let i = 0; i < 3; i++) yield* works(local!)
      assert.strictEqual(counts(here)[0]! - before!, 3)
    }))

  it.live("is chosen by the defaults of the service where its callers say nothing, and followed when they change", () =>
    Effect.gen(function*() {
      const { dc1, dc2, sni } = yield* Gateways.two
      yield* serve(dc2, "api")
      const [here, there] = [yield* dc1.gateway(), yield* dc2.gateway()]
      const { dial } = yield* native(dc1)
      const to = { service: "api", datacenter: "dc2" }
      assert.deepStrictEqual(yield* eventually(dial(to)), { datacenter: "dc2", sni: sni("api", "dc2") })
      assert.deepStrictEqual(counts(here, there), [0, 0])
      yield* dc1.write({ Kind: "service-defaults", Name: "api", ...gatewayMode("remote") })
      yield* eventually(Effect.tap(dial(to), () => Effect.sync(() => assert.isAtLeast(counts(there)[0]!, 1))))
      yield* dc1.write({ Kind: "service-defaults", Name: "api", ...gatewayMode("local") })
      yield* eventually(Effect.tap(dial(to), () => Effect.sync(() => assert.isAtLeast(counts(here)[0]!, 1))))
      const [before] = counts(here)
      yield* dial({ ...to, gateway: "none" })
      assert.strictEqual(counts(here)[0], before)
    }))

  it.live("answers requests of HTTP through gateways, and is failed over to, and back from", () =>
    Effect.gen(function*() {
      const { dc1, dc2 } = yield* Gateways.two
      yield* dc1.write({
        Kind: "proxy-defaults",
        Name: "global",
        Config: { protocol: "http" },
        ...gatewayMode("remote")
      })
      yield* serve(dc2, "api")
      yield* serve(dc1, "api")
      const there = yield* dc2.gateway()
      const { get } = yield* native(dc1)
      assert.strictEqual(yield* eventually(get("api.service.dc2.consul")), "dc2")
      const passed = counts(there)[0]!
      assert.isAtLeast(passed, 1)

      yield* dc1.write({ Kind: "service-resolver", Name: "api", Failover: { "*": { Datacenters: ["dc2"] } } })
      const from = (datacenter: string) =>
        eventually(Effect.tap(get("api"), (said) => Effect.sync(() => assert.strictEqual(said, datacenter))))
      yield* from("dc1")
      const maintenance = (enable: boolean) =>
        dc1.call("maintenance", (api) => api.agent.serviceMaintenance({ params: { id: "api" }, query: { enable } }))
      yield* maintenance(true)
      yield* from("dc2")
      yield* maintenance(false)
      yield* from("dc1")
    }))

  it.live("goes on while it cannot be asked about, and its callers are still who they must be", () =>
    Effect.gen(function*() {
      const { dc1, dc2, wan } = yield* Gateways.two
      yield* dc2.service("api")
      yield* dc1.gateway()
      yield* dc2.gateway()
      const { ports: [port] } = yield* dc1.caller("web", [{ ...toApi, ...gatewayMode("local") }])
      yield* eventually(works(port!))
      wan.set("dc1", "dc2", { isCut: true })
      yield* works(port!)
      // What is written in the primary does not arrive, until the line is back.
      yield* dc1.write({ Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Action: "deny" }] })
      yield* works(port!)
      wan.set("dc1", "dc2", { isCut: false })
      yield* eventually(Effect.flip(say(port!)))
    }))

  it.live("says that no gateway leads there, instead of dialling past them", () =>
    Effect.gen(function*() {
      const { dc1, dc2 } = yield* Gateways.two
      yield* serve(dc2, "api")
      const { dial } = yield* native(dc1)
      yield* eventually(dial({ service: "api", datacenter: "dc2" }))
      const failed = yield* Effect.flip(dial({ service: "api", datacenter: "dc2", gateway: "remote" }))
      assert.match(String(failed), /no mesh gateway of dc2 leads to it/)
    }))

  it.live("must prove to be the service that was meant, whoever a gateway leads to", () =>
    Effect.gen(function*() {
      const { dc1, dc2 } = yield* Gateways.two
      yield* serve(dc2, "api")
      const db = yield* dc2.service("db")
      // A gateway that takes everybody to another service.
      yield* dc2.put({
        Kind: "mesh-gateway",
        Name: "mesh-gateway",
        Address: "127.0.0.1",
        Port: db.sidecarPort
      })
      const { dial } = yield* native(dc1)
      const failed = yield* eventually(
        Effect.filterOrFail(
          Effect.flip(dial({ service: "api", datacenter: "dc2", gateway: "remote" })),
          (error) => /UnexpectedIdentity|expected|another identity/.test(String(error)),
          (error) => String(error)
        )
      )
      assert.include(String(failed), "svc/db")
    }))
})
