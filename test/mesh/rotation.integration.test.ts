import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, SubscriptionRef } from "effect"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as MeshListener from "../../src/inbound/MeshListener.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as Certificates from "../support/certificates.ts"
import { authorityOf, client, instance } from "../support/httpMesh.ts"
import * as Mesh from "../support/mesh.ts"
import { eventually, record } from "../support/sockets.ts"

const rotations = 4
const requests = 50

describe.each([["HTTP/1.1", false], ["HTTP/2", true]] as const)("rotation under requests over %s", (_, http2) => {
  it.live("fails none, keeps every connection, and lets new ones in at each step", () =>
    Effect.gen(function*() {
      let authority = yield* authorityOf
      const api = yield* Mesh.member("api", authority)
      const echo = yield* Mesh.member("echo", authority)
      const http = yield* instance(api, "api")
      const echoContext = yield* Layer.build(echo.layer)
      const echoing = yield* MeshListener.make({
        host: "127.0.0.1",
        port: 0,
        handle: ({ socket }) =>
          Effect.callback<void>((resume) => {
            socket.pipe(socket)
            socket.once("close", () => resume(Effect.void))
          })
      }).pipe(Effect.provideContext(echoContext))
      const discovery = yield* Mesh.discovery({
        api: [Mesh.endpoint(http.port)],
        echo: [Mesh.endpoint(echoing.port)]
      })
      const { get, web } = yield* client(authority, discovery.layer, { pool: { http2, connections: 4 } })
      const members = { api, echo, web }
      const webContext = yield* Layer.build(web.layer)
      const context = yield* Layer.build(
        Layer.provide(MeshDialer.layer, Layer.merge(Layer.succeedContext(webContext), discovery.layer))
      )
      /** What a rotation brought is in force for new connections: those are between `web` and `echo`. */
      const inForce = (
        holds: (material: SecureContexts.Material) => boolean,
        ...contexts: ReadonlyArray<typeof webContext>
      ) => eventually(() => contexts.every((each) => holds(Context.get(each, SecureContexts.SecureContexts).current())))
      const dialer = yield* MeshDialer.MeshDialer.pipe(Effect.provideContext(context))
      const say = (socket: Parameters<typeof record>[0], text: string) => {
        const recorder = record(socket)
        socket.write(text)
        return recorder.until(text)
      }

      const all = Effect.all(Array.from({ length: requests }, () => get("http://api/")), { concurrency: 16 })
      yield* all
      const { socket: kept } = yield* dialer.dial({ service: "echo" })
      yield* say(kept, "before;")
      const { accepted } = http.stats().connections

      let steps = 0
      const step = Effect.gen(function*() {
        steps++
        assert.deepStrictEqual([...new Set(yield* all)], ["api"])
        yield* say(kept, `step ${steps};`)
        yield* Effect.scoped(Effect.flatMap(dialer.dial({ service: "echo" }), ({ socket }) => say(socket, "new;")))
      })
      for (let rotation = 0; rotation < rotations; rotation++) {
        const next = yield* Effect.promise(() => Certificates.root(`root ${rotation}`))
        const trusting = Certificates.bundle(next, authority)
        for (const member of Object.values(members)) {
          yield* SubscriptionRef.set(member.roots, trusting)
          yield* step
        }
        yield* inForce(({ roots }) => roots === trusting, webContext, echoContext)
        for (const [name, member] of Object.entries(members)) {
          const leaf = yield* Effect.promise(() => Certificates.leafOf(next, name))
          yield* Effect.all([SubscriptionRef.set(member.leaf, leaf), step], { concurrency: "unbounded" })
          if (name === "web") yield* inForce((material) => material.leaf === leaf, webContext)
          if (name === "echo") yield* inForce((material) => material.leaf === leaf, echoContext)
        }
        for (const member of Object.values(members)) {
          yield* SubscriptionRef.set(member.roots, Certificates.bundle(next))
          yield* step
        }
        authority = next
      }
      const { connections, requests: answered } = http.stats()
      assert.deepStrictEqual(answered, { "web api 200": requests * (1 + steps) })
      assert.deepStrictEqual([connections.accepted, connections.open], [accepted, accepted])
      assert.deepStrictEqual(connections.refused, {})
      assert.deepStrictEqual(echoing.stats().refused, {})
      assert.strictEqual(echoing.stats().accepted, 1 + steps)
    }))
})
