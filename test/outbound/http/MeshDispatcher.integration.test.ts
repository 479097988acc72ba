import * as Undici from "@effect/platform-node/Undici"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Schedule, Scope, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import * as MeshDispatcher from "../../../src/outbound/http/MeshDispatcher.ts"
import * as RequestFailed from "../../../src/outbound/http/RequestFailed.ts"
import * as Resolver from "../../../src/outbound/Resolver.ts"
import * as Certificates from "../../support/certificates.ts"
import * as HttpMesh from "../../support/httpMesh.ts"
import * as Mesh from "../../support/mesh.ts"

describe("MeshDispatcher", () => {
  it.live("fails requests that wait for instances as it closes, and those that come later", () =>
    Effect.gen(function*() {
      const authority = yield* Effect.promise(() => Certificates.root("root"))
      const web = yield* Mesh.member("web", authority)
      const silent = Resolver.fromStream("slow", Stream.never)
      const scope = yield* Scope.make()
      const { undici } = yield* MeshDispatcher.make({ resolve: () => silent }).pipe(
        Scope.provide(scope),
        Effect.provide(Layer.merge(web.layer, (yield* Mesh.discovery({})).layer))
      )
      const reason = Effect.flip(Effect.tryPromise({
        try: () => Undici.request("http://slow/", { dispatcher: undici }),
        catch: (error) => error instanceof RequestFailed.RequestFailed ? error.message : String(error)
      }))
      const waiting = yield* Effect.forkChild(reason, { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      const message = "the request to slow failed: our own side of the mesh has been closed"
      assert.strictEqual(yield* Fiber.join(waiting), message)
      assert.strictEqual(yield* reason, message)
    }))

  it.live("counts a request whose instance has left as long as its answer goes on", () =>
    Effect.gen(function*() {
      const authority = yield* HttpMesh.authorityOf
      const api = yield* Mesh.member("api", authority)
      const endless = HttpServerResponse.stream(Stream.concat(Stream.make(Buffer.from("first")), Stream.never))
      const { port } = yield* HttpMesh.instance(api, "api", Effect.succeed(endless))
      const discovery = yield* Mesh.discovery({ "api.default": [Mesh.endpoint(port)] })
      const { dispatcher, http } = yield* HttpMesh.client(authority, discovery.layer)
      const answer = yield* http.get("http://api/")
      const first = yield* Deferred.make<void>()
      const read = yield* Effect.forkChild(Stream.runForEach(answer.stream, () => Deferred.succeed(first, undefined)))
      yield* Deferred.await(first)
      assert.strictEqual(dispatcher.stats().active, 1)
      yield* discovery.setInstances(Mesh.target("api").id, [])
      const { reason } = yield* HttpMesh.failureOf(http.get("http://api/"))
      assert.strictEqual(reason._tag, "NoHealthyInstance")
      assert.strictEqual(dispatcher.stats().active, 1)
      yield* Fiber.interrupt(read)
    }))

  it.live("lets go of the service that was not used for the longest time where there is no place for another one", () =>
    Effect.gen(function*() {
      const authority = yield* HttpMesh.authorityOf
      const { dispatcher, http } = yield* HttpMesh.client(authority, (yield* Mesh.discovery({})).layer, {
        maxServices: 2,
        resolve: (host) => Resolver.fromStream(host, Stream.concat(Stream.make([]), Stream.never)),
        retry: Schedule.recurs(0)
      })
      for (let i = 0; i < 20; i++) yield* HttpMesh.failureOf(http.get(`http://stranger-${i}/`))
      assert.strictEqual(dispatcher.stats().services, 2)
    }))

  it.live("refuses another service where all that it watches are in use, and says what to do", () =>
    Effect.gen(function*() {
      const authority = yield* Effect.promise(() => Certificates.root("root"))
      const web = yield* Mesh.member("web", authority)
      const resolve = (host: string) => Resolver.fromStream(host, Stream.never)
      const { undici } = yield* MeshDispatcher.make({ resolve, maxServices: 1 }).pipe(
        Effect.provide(Layer.merge(web.layer, (yield* Mesh.discovery({})).layer))
      )
      const waiting = Undici.request("http://slow/", { dispatcher: undici }).catch(() => {})
      const refused = yield* Effect.flip(Effect.tryPromise({
        try: () => Undici.request("http://other/", { dispatcher: undici }),
        catch: (error) => error instanceof RequestFailed.RequestFailed ? error.message : String(error)
      }))
      assert.include(refused, "Raise maxServices")
      void waiting
    }))

  it.live("closes no service that is used while others are let go", () =>
    Effect.gen(function*() {
      const { authority, discovery } = yield* HttpMesh.apis(1)
      const { get } = yield* HttpMesh.client(authority, discovery.layer, {
        serviceIdleMillis: 5,
        retry: Schedule.recurs(0)
      })
      for (let i = 0; i < 60; i++) {
        assert.strictEqual(yield* get("http://api/"), "api-0")
        yield* Effect.sleep(`${i % 8} millis`)
      }
    }))

  it.live("opens no more connections to an instance than it may, and lets the other requests wait", () =>
    Effect.gen(function*() {
      const authority = yield* HttpMesh.authorityOf
      const api = yield* Mesh.member("api", authority)
      const release = yield* Deferred.make<void>()
      const held = Effect.as(Deferred.await(release), HttpServerResponse.text("done"))
      const { asked, port, stats } = yield* HttpMesh.instance(api, "api", held)
      const discovery = yield* Mesh.discovery({ "api.default": [Mesh.endpoint(port)] })
      const { dispatcher, get } = yield* HttpMesh.client(authority, discovery.layer, { pool: { connections: 8 } })
      const answers = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 12 }), () => get("http://api/"), { concurrency: "unbounded" })
      )
      const eight = Effect.repeat(Effect.sleep("5 millis"), {
        until: () => Effect.sync(() => asked() >= 8 && dispatcher.stats().active === 12)
      })
      // Requests that fail end the test at once, with their error.
      yield* Effect.raceFirst(eight, Effect.andThen(Fiber.join(answers), Effect.die("answered before it was let go")))
      assert.strictEqual(stats().connections.accepted, 8)
      yield* Deferred.succeed(release, undefined)
      assert.strictEqual(new Set(yield* Fiber.join(answers)).size, 1)
      assert.deepStrictEqual([asked(), stats().connections.accepted], [12, 8])
    }))
})
