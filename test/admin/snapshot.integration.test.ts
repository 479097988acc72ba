import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as Admin from "../support/admin.ts"
import * as HttpApplication from "../support/httpApplication.ts"
import * as Scrape from "../support/scrape.ts"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import * as Sockets from "../support/sockets.ts"

/** `web` may only read. */
const readOnly = SidecarMesh.intention({
  Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/", Methods: ["GET"] } }]
})

const make = Effect.gen(function*() {
  const application = yield* HttpApplication.start((request, response) => {
    response.statusCode = request.url === "/broken" ? 500 : 200
    response.end("answer")
  })
  const mesh = yield* SidecarMesh.make({ apps: [application], protocol: "http", entries: [readOnly] })
  const admin = yield* Admin.open({ fleet: Admin.fleetOf({ api: mesh.api[0]!, web: mesh.web }) })
  return { mesh, client: admin.client.read, admin }
})

const ask = (port: number, path: string, method = "GET") =>
  Effect.promise(() => fetch(`http://127.0.0.1:${port}${path}`, { method }).then(({ status }) => status))

describe("a snapshot", () => {
  it.live("counts requests by caller, with what failed, how long they took, and what was refused", () =>
    Effect.gen(function*() {
      const { client, mesh } = yield* make
      const statuses = [
        yield* ask(mesh.port, "/"),
        yield* ask(mesh.port, "/broken"),
        yield* ask(mesh.port, "/", "DELETE")
      ]
      assert.deepStrictEqual(statuses, [200, 500, 403])
      const total = Effect.map(client.snapshot({ query: {} }), ({ sidecar }) => sidecar?.callers[0]?.requests?.total)
      yield* Sockets.eventuallyEffect(Effect.map(total, (count) => count === 3))
      const { sidecar, sidecars } = yield* client.snapshot({ query: {} })
      assert.deepStrictEqual(sidecars.map(({ name, ready }) => [name, ready]), [["api", true], ["web", true]])
      assert.deepInclude(sidecar, { name: "api", service: "api", protocol: "http", phase: "serving", upstreams: [] })
      assert.strictEqual(sidecar!.callers.length, 1)
      const [web] = sidecar!.callers
      assert.deepInclude(web, { service: "web", accepted: 1 })
      assert.deepInclude(web!.requests, { total: 3, failed: 1, codes: { 200: 1, 500: 1, 403: 1 } })
      assert.strictEqual(web!.requests!.durations.at(-1)![1], 3)
      assert.deepStrictEqual(web!.refusals.map(({ refusals, rule }) => [rule, refusals]), [[
        "web → api (precedence 9)",
        1
      ]])
      assert.isAbove(web!.sent, 0)
    }).pipe(Scrape.fresh))

  it.live("counts requests by upstream, with the instances that are left", () =>
    Effect.gen(function*() {
      const { client, mesh } = yield* make
      yield* ask(mesh.port, "/")
      const snapshot = client.snapshot({ query: { sidecar: "web" } })
      yield* Sockets.eventuallyEffect(
        Effect.map(snapshot, ({ sidecar }) => sidecar?.upstreams[0]?.requests?.total === 1)
      )
      const { sidecar } = yield* snapshot
      assert.deepInclude(sidecar, { service: "web", callers: [] })
      const [upstream] = sidecar!.upstreams
      assert.deepInclude(upstream, { listener: "upstream api", protocol: "http", accepted: 1 })
      assert.deepInclude(upstream!.requests, { total: 1, failed: 0, codes: { 200: 1 } })
      assert.deepStrictEqual(upstream!.instances, { total: 1, healthy: 1, ejected: 0 })
      assert.isNull((yield* client.snapshot({ query: { sidecar: "db" } })).sidecar)
    }).pipe(Scrape.fresh))

  it.live("is sent again and again to whoever listens", () =>
    Effect.gen(function*() {
      const { client } = yield* make
      const events = yield* client.events({ query: {} })
      const [first, second] = yield* Stream.runCollect(Stream.take(events, 2))
      assert.strictEqual(first!.sidecar!.service, "api")
      assert.isAbove(second!.at, first!.at)
    }))
})
