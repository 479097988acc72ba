import * as Undici from "@effect/platform-node/Undici"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import * as MeshDispatcher from "../../src/native/MeshDispatcher.ts"
import * as RequestFailed from "../../src/native/RequestFailed.ts"
import * as Resolver from "../../src/native/Resolver.ts"
import * as Certificates from "../support/certificates.ts"
import * as Mesh from "../support/mesh.ts"

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
})
