import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { statSync } from "node:fs"
import { join } from "node:path"
import * as Documents from "../../src/admin/Documents.ts"
import * as Fleet from "../../src/admin/Fleet.ts"
import { refusing } from "../support/agents.ts"
import * as Admin from "../support/admin.ts"
import * as Scrape from "../support/scrape.ts"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import * as Sockets from "../support/sockets.ts"
import { folder } from "../support/temporary.ts"

const reply = Schema.decodeUnknownSync(Schema.fromJsonString(Documents.Refused))

/** `web` and `api` in this process, with one admin interface for both. */
const make = Effect.fnUntraced(
  function*(protocol: "tcp" | "http" = "tcp", entries: ReadonlyArray<SidecarMesh.Entry> = []) {
    const application = yield* Sockets.shouting
    const mesh = yield* SidecarMesh.make({ apps: [application.port], protocol, entries })
    const admin = yield* Admin.open({ fleet: Admin.fleetOf({ web: mesh.web, api: mesh.api[0]! }) })
    return { application, mesh, admin, client: admin.client.read }
  }
)

const talk = Effect.fnUntraced(function*(port: number) {
  const socket = yield* Sockets.connect(port)
  socket.write("hello")
  yield* Sockets.record(socket).until("HELLO")
  return socket
})

describe("the admin interface", () => {
  it.live("says who is connected to whom, since when, and why", () =>
    Effect.gen(function*() {
      const { client, mesh } = yield* make()
      const socket = yield* talk(mesh.port)
      const { sidecars: [web, api] } = yield* client.connections({ query: {} })
      assert.deepInclude(web, { name: "web", proxy: "web-sidecar-proxy", service: "web", open: 1 })
      assert.deepInclude(web!.connections[0], {
        direction: "outbound",
        listener: "upstream api",
        remote: `127.0.0.1:${socket.localPort}`,
        sent: 5,
        received: 5
      })
      assert.match(web!.connections[0]!.peer!, /^spiffe:.*\/svc\/api$/)
      assert.deepInclude(api!.connections[0], {
        direction: "inbound",
        listener: "public",
        to: null,
        because: "allowed by intention web → api (precedence 9)",
        sent: 5,
        received: 5
      })
      assert.match(api!.connections[0]!.peer!, /^spiffe:.*\/svc\/web$/)
      assert.isAtMost(Date.parse(api!.connections[0]!.openedAt), Date.now())
      const none = yield* client.connections({ query: { limit: 0 } })
      assert.deepStrictEqual(none.sidecars.map(({ connections, open }) => [open, connections.length]), [[1, 0], [1, 0]])
      socket.destroy()
      yield* Sockets.eventuallyEffect(Effect.map(
        client.connections({ query: {} }),
        ({ sidecars }) => sidecars.every(({ open }) => open === 0)
      ))
    }))

  it.live("says which rule refused whom, how often", () =>
    Effect.gen(function*() {
      const { client, mesh } = yield* make()
      yield* mesh.write(SidecarMesh.intention({ Action: "deny" }))
      yield* Sockets.eventuallyEffect(Effect.map(
        client.intentions({}),
        ({ sidecars }) => sidecars[1]!.intentions[0]!.action === "deny"
      ))
      const socket = yield* Sockets.connect(mesh.port)
      socket.write("hello")
      assert.strictEqual(yield* Sockets.record(socket).ending, "ECONNRESET")
      const api = (yield* client.intentions({})).sidecars[1]!
      assert.deepInclude(api, {
        service: "api",
        protocol: "tcp",
        byRequest: false,
        defaultPolicy: "deny",
        warnings: []
      })
      assert.deepInclude(api.intentions[0], { source: "web", destination: "api", precedence: 9, action: "deny" })
      assert.deepInclude(api.intentions[0]!.intention, { SourceName: "web", DestinationName: "api", Action: "deny" })
      assert.deepStrictEqual(api.refusals, [
        { source: "web", destination: "api", rule: "web → api (precedence 9)", refusals: 1, audited: 0 }
      ])
    }))

  it.live("shows certificates with their clocks, and no key", () =>
    Effect.gen(function*() {
      const { admin, client, mesh } = yield* make()
      const [web] = (yield* client.certificates({})).sidecars
      assert.match(web!.identity!, /\/svc\/web$/)
      assert.strictEqual(web!.trustDomain, mesh.agent.trustDomain)
      assert.isAbove(web!.leaf!.secondsLeft, 3600)
      assert.strictEqual(web!.leaf!.serial, mesh.web.material().leaf.certificate.serial)
      assert.deepStrictEqual(web!.roots.map(({ active }) => active), [true])
      assert.notInclude((yield* admin.ask("GET", "/certs")).text, "PRIVATE")
    }))

  it.live("shows each upstream with its instances, and why one is left out", () =>
    Effect.gen(function*() {
      const { client, mesh } = yield* make()
      yield* Effect.asVoid(talk(mesh.port))
      const [upstream] = (yield* client.upstreams({})).sidecars[0]!.upstreams
      assert.deepInclude(upstream, {
        listener: "upstream api",
        service: "api",
        state: "Listening",
        protocol: "tcp",
        open: 1
      })
      const [target] = upstream!.targets!
      assert.deepInclude(target!.instances![0], { healthy: true, unhealthy: null, ejected: false, active: 1 })
      const { sidecars: [, api] } = yield* client.upstreams({})
      assert.deepStrictEqual(api!.upstreams, [])
    }))

  it.live("shows the routes of a service that speaks HTTP", () =>
    Effect.gen(function*() {
      const { client } = yield* make("http", [{
        Kind: "service-router",
        Name: "api",
        Routes: [{
          Match: { HTTP: { PathPrefix: "/v2/" } },
          Destination: { Service: "api", NumRetries: 2, RetryOnStatusCodes: [503], RequestTimeout: "3s" }
        }]
      }])
      yield* Sockets.eventuallyEffect(Effect.map(
        client.routes({}),
        ({ sidecars }) => sidecars[0]!.upstreams[0]!.routes !== null
      ))
      const [upstream] = (yield* client.routes({})).sidecars[0]!.upstreams
      assert.deepInclude(upstream, { listener: "upstream api", protocol: "http" })
      const [first, rest] = upstream!.routes!
      assert.deepInclude(first, {
        route: 1,
        written: true,
        requestTimeoutMillis: 3000,
        retries: { times: 2, on: ["503"] }
      })
      assert.include(first!.conditions.join(), "/v2/")
      assert.deepStrictEqual(first!.legs.map(({ share }) => share), [1])
      assert.deepInclude(rest, { route: 2, written: false })
    }))

  it.live("tells how fresh each watch is, and why one is not", () =>
    Effect.gen(function*() {
      const { client, mesh } = yield* make()
      yield* talk(mesh.port)
      const before = (yield* client.watches({})).watches
      for (const watch of ["roots", "leaf", "intentions", "registration", "chain", "instances"]) {
        const found = before.find((each) => each.watch === watch)
        assert.deepInclude(found, { current: true, failures: 0, lastError: null }, watch)
        assert.isAtMost(found!.secondsSinceAnswer!, 60)
      }
      mesh.front.become(refusing(500, "overloaded"))
      yield* Sockets.eventuallyEffect(Effect.map(
        client.watches({}),
        ({ watches }) => watches.some(({ current, lastError }) => !current && lastError!.includes("overloaded"))
      ))
    }).pipe(Scrape.fresh))

  it.live("gives Prometheus what it reads", () =>
    Effect.gen(function*() {
      const { admin, mesh } = yield* make()
      yield* talk(mesh.port)
      const { headers, text } = yield* admin.ask("GET", "/metrics")
      assert.match(headers["content-type"]!, /^text\/plain; version=0\.0\.4/)
      const { samples } = Scrape.parse(text)
      const asked = yield* admin.ask("GET", "/metrics", { accept: "application/openmetrics-text; version=1.0.0" })
      assert.match(asked.headers["content-type"]!, /^application\/openmetrics-text; version=1\.0\.0/)
      assert.isTrue(asked.text.endsWith("\n# EOF\n"))
      const open = Object.entries(samples).filter(([name, value]) =>
        name.startsWith("mesh_connections_open{") && value === 1
      )
      assert.deepStrictEqual(open.map(([name]) => name.match(/service="(\w+)"/)![1]).sort(), ["api", "web"])
    }).pipe(Scrape.fresh))

  it.live("prints what is in force, without secrets", () =>
    Effect.gen(function*() {
      const { client, mesh } = yield* make()
      const config = yield* client.configuration({})
      assert.deepInclude(config, { version: "1.2.3", node: process.version, pid: process.pid })
      assert.deepInclude(config.sidecars[1], { proxy: "api-1-sidecar-proxy", movedTo: null, ignored: [] })
      assert.deepInclude(config.sidecars[0]!.registration, { handshakeTimeoutMillis: 10_000, protocol: "tcp" })
      assert.include(JSON.stringify(config), String(mesh.port))
    }))

  it.live("lives while sidecars start, and is ready once they serve", () =>
    Effect.gen(function*() {
      const fleet = Fleet.single()
      const admin = yield* Admin.open({ fleet })
      assert.strictEqual((yield* admin.ask("GET", "/ready")).status, 503, "nothing is wanted yet")
      const waiting = yield* Effect.forkChild(fleet.start("web", Effect.never), { startImmediately: true })
      const { status, text } = yield* admin.ask("GET", "/ready")
      assert.strictEqual(status, 503)
      assert.match(text, /"name":"web","ready":false,"problems":\["it starts.*; the log says more"\]/)
      assert.strictEqual((yield* admin.ask("GET", "/live")).status, 200)
      assert.isFalse(waiting.pollUnsafe() !== undefined)
      const { admin: other } = yield* make()
      assert.deepStrictEqual([(yield* other.ask("GET", "/ready")).status, (yield* other.client.read.ready({})).ready], [
        200,
        true
      ])
    }))

  it.live("names what there is to whoever asks for something else", () =>
    Effect.gen(function*() {
      const admin = yield* Admin.open({ fleet: Admin.fleetOf({}) })
      const nothing = yield* admin.ask("GET", "/stats?format=prometheus")
      assert.strictEqual(nothing.status, 404)
      assert.strictEqual(reply(nothing.text).error, "there is no /stats here")
      assert.includeMembers([...reply(nothing.text).paths!], ["GET /ready", "GET /metrics", "GET /certs"])
      assert.strictEqual((yield* admin.ask("GET", "/connections?limit=many")).status, 400)
      assert.strictEqual((yield* admin.ask("HEAD", "/live")).status, 200)
    }))

  it.live("answers nothing that a web page asks", () =>
    Effect.gen(function*() {
      const admin = yield* Admin.open({ fleet: Admin.fleetOf({}) })
      assert.strictEqual((yield* admin.ask("GET", "/connections", { host: "evil.example" })).status, 400)
      const page = yield* admin.ask("GET", "/connections", { origin: "https://evil.example" })
      assert.strictEqual(page.status, 403)
      assert.include(reply(page.text).error, "the admin interface takes no requests of web pages")
      assert.isUndefined(page.headers["access-control-allow-origin"])
    }))

  it.live("is there for nobody else over a Unix socket, and replaces one that was left behind", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "admin.sock")
      const bind = { path, mode: 0o600 }
      yield* Effect.scoped(Effect.gen(function*() {
        const admin = yield* Admin.open({ fleet: Admin.fleetOf({}), bind })
        assert.strictEqual(statSync(path).mode & 0o777, 0o600)
        assert.strictEqual((yield* admin.ask("GET", "/live")).status, 200)
      }))
      const again = yield* Admin.open({ fleet: Admin.fleetOf({}), bind })
      assert.strictEqual((yield* again.ask("GET", "/live")).status, 200)
    }))
})
