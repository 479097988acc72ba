/** Calls between clusters that have a trust domain each, through the gateway of the one that is called. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshHttpClient from "../../src/native/MeshHttpClient.ts"
import * as MeshHttpServer from "../../src/native/MeshHttpServer.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as Gateways from "../support/gateways.ts"
import * as sockets from "../support/sockets.ts"

const { eventually } = Gateways

type Datacenter = Effect.Success<typeof Gateways.peers>["dc1"]

const works = (port: number) =>
  Effect.tap(sockets.said(port), (said) => Effect.sync(() => assert.strictEqual(said, "HELLO")))

const intention = ({ write }: Datacenter, Name: string, Action: string, Peer = "dc1", Source = "web") =>
  write({ Kind: "service-intentions", Name, Sources: [{ Name: Source, Peer, Action }] })

const upstream = { DestinationName: "api", DestinationPeer: "east" }

/** `api` of the peer, exported and allowed, and a caller of it here. */
const tcp = Effect.gen(function*() {
  const { dc1, east, ...rest } = yield* Gateways.peers
  const api = yield* east.service("api")
  const gateway = yield* east.gateway()
  yield* east.exportTo("dc1", "api")
  yield* intention(east, "api", "allow")
  const { ports: [port] } = yield* dc1.caller("web", [upstream])
  yield* eventually(works(port!))
  return { ...rest, dc1, east, api, gateway, port: port! }
})

const native = Effect.fnUntraced(function*({ consul }: Datacenter) {
  const context = yield* Layer.build(
    MeshHttpClient.layer().pipe(Layer.provideMerge(Mesh.layer({ service: "web" })))
  ).pipe(Effect.provideContext(consul))
  const client = yield* Effect.provideContext(HttpClient.HttpClient, context)
  const dialer = yield* Effect.provideContext(MeshDialer.MeshDialer, context)
  return {
    get: (host: string) => Effect.map(client.get(`http://${host}/`), ({ status }) => status),
    dialer
  }
})

const serve = Effect.fnUntraced(function*({ consul, put, write }: Datacenter, service: string) {
  yield* write({ Kind: "service-defaults", Name: service, Protocol: "http" })
  const routes = HttpRouter.serve(HttpRouter.add("GET", "/*", Effect.succeed(HttpServerResponse.text("ok"))), {
    disableLogger: true,
    disableListenLog: true
  })
  const context = yield* Layer.build(
    routes.pipe(
      Layer.provideMerge(MeshHttpServer.layer({ host: "127.0.0.1", port: 0, drain: 0 })),
      Layer.provide(Mesh.layer({ service }))
    )
  ).pipe(Effect.provideContext(consul))
  const { port } = yield* Effect.provideContext(MeshHttpServer.MeshHttpServer, context)
  yield* put({ Name: service, Port: port, Address: "127.0.0.1", Connect: { Native: true } })
})

describe("a peer", () => {
  it.live("is called through its gateway, and knows who calls", () =>
    Effect.gen(function*() {
      const { dc1, east, gateway } = yield* tcp
      assert.isAtLeast(gateway.status().listeners[0]!.counts.accepted, 1)
      const { dialer } = yield* native(dc1)
      const { datacenter, trustDomain } = yield* eventually(
        Effect.scoped(Effect.map(dialer.dial({ service: "api", peer: "east" }), ({ peer }) => peer))
      )
      assert.deepStrictEqual([datacenter, trustDomain], ["east", yield* east.trustDomain])
    }))

  it.live("lets nobody of another cluster in without an intention that names it, whatever holds by default", () =>
    Effect.gen(function*() {
      const { east, port } = yield* tcp
      // Callers of its own by this name are others.
      yield* east.write({ Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Action: "allow" }] })
      yield* eventually(Effect.flip(sockets.said(port)))
      yield* intention(east, "api", "allow")
      yield* eventually(works(port))
      yield* intention(east, "api", "deny")
      yield* eventually(Effect.flip(sockets.said(port)))
      // An intention about another caller of the peer leaves the default, which is to allow callers of its own.
      yield* intention(east, "api", "allow", "dc1", "other")
      yield* Effect.flip(sockets.said(port))
      yield* intention(east, "api", "allow", "dc1", "*")
      yield* eventually(works(port))
    }))

  it.live("is called on while either side exchanges its root", () =>
    Effect.gen(function*() {
      const { port, rotate, rotateOurs } = yield* tcp
      yield* rotate
      for (let i = 0; i < 5; i++) yield* eventually(works(port))
      yield* rotateOurs
      for (let i = 0; i < 5; i++) yield* eventually(works(port))
    }))

  it.live("shows what it exports and nothing else, also where somebody asks its gateway by name", () =>
    Effect.gen(function*() {
      const { dc1, east, gateway, port } = yield* tcp
      yield* east.service("secret")
      yield* east.write({
        Kind: "service-intentions",
        Name: "secret",
        Sources: [{ Name: "*", Peer: "dc1", Action: "allow" }]
      })
      const web = yield* dc1.identity("web")
      const sni = (service: string) =>
        Effect.map(east.trustDomain, (trustDomain) => `${service}.default.default.dc1.external.${trustDomain}`)
      const ask = (service: string) => Effect.flatMap(sni(service), (name) => Gateways.connect(gateway.port, web, name))
      yield* Effect.scoped(Effect.flip(ask("secret")))
      yield* east.exportTo("dc1", "secret")
      yield* eventually(Effect.flip(sockets.said(port)))
    }))

  it.live("takes the requests of HTTP services, and each is judged by who makes it", () =>
    Effect.gen(function*() {
      const { dc1, east } = yield* Gateways.peers
      yield* serve(east, "api")
      yield* east.gateway()
      yield* east.exportTo("dc1", "api")
      yield* intention(east, "api", "allow")
      yield* dc1.write({ Kind: "proxy-defaults", Name: "global", Config: { protocol: "http" } })
      yield* dc1.write({ Kind: "service-resolver", Name: "api", Redirect: { Service: "api", Peer: "east" } })
      const { get } = yield* native(dc1)
      const answers = (status: number) =>
        eventually(Effect.tap(get("api"), (said) => Effect.sync(() => assert.strictEqual(said, status))))
      yield* answers(200)
      yield* intention(east, "api", "deny")
      yield* answers(403)
      yield* intention(east, "api", "allow")
      yield* answers(200)
    }))

  it.live("stands in where nobody is left at home, and is left again", () =>
    Effect.gen(function*() {
      const { dc1, east } = yield* tcp
      yield* intention(east, "api", "allow")
      const home = yield* dc1.service("api", { id: "api-home" })
      yield* dc1.write({
        Kind: "service-resolver",
        Name: "api",
        Failover: { "*": { Targets: [{ Peer: "east" }] } }
      })
      const { dialer } = yield* native(dc1)
      const answeredBy = (datacenter: string) =>
        eventually(Effect.scoped(Effect.tap(dialer.dial({ service: "api" }), ({ peer }) =>
          Effect.sync(() =>
            assert.strictEqual(peer.datacenter, datacenter)
          ))))
      yield* answeredBy("dc1")
      assert.isAbove(home.sidecarPort, 0)
      const maintenance = (enable: boolean) =>
        dc1.call("maintenance", (api) =>
          api.agent.serviceMaintenance({ params: { id: "api-home-sidecar-proxy" }, query: { enable } }))
      yield* maintenance(true)
      yield* answeredBy("east")
      yield* maintenance(false)
      yield* answeredBy("dc1")
    }))

  it.live("is no longer trusted once the peering has ended", () =>
    Effect.gen(function*() {
      const { dc1, east, port } = yield* tcp
      yield* east.call("end", (api) => api.peering.delete({ params: { name: "dc1" }, query: {} }))
      yield* eventually(Effect.flip(sockets.said(port)))
      yield* eventually(Effect.map(
        dc1.call("read", (api) => api.peering.read({ params: { name: "east" }, query: {} })),
        ({ body }) => assert.strictEqual(body.State, "TERMINATED")
      ))
    }))
})
