import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Ref } from "effect"
import * as Mesh from "../../src/mesh/Mesh.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as MeshListener from "../../src/inbound/MeshListener.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as CaRoots from "../../src/watch/CaRoots.ts"
import * as LeafCertificate from "../../src/watch/LeafCertificate.ts"
import * as agent from "../support/consul.ts"

/** Joins the mesh for the scope of the test. */
const join = (service: string) => Layer.build(Mesh.layer({ service }))

/** A native service that greets its caller by name, registered and listening. */
const greeter = Effect.fnUntraced(function*(service: string) {
  const port = yield* agent.freePort
  const context = yield* join(service)
  const listener = yield* MeshListener.make({
    host: "127.0.0.1",
    port,
    handle: ({ caller, socket }) =>
      Effect.callback<void>((resume) => {
        socket.write(`hello ${caller.service}`)
        socket.on("close", () => resume(Effect.void))
      })
  }).pipe(Effect.provideContext(context))
  yield* agent.register({ name: service, port, native: true })
  return { context, listener }
})

/** Dials and reads the first bytes. `closed` is done when the other side has closed the connection. */
const call = Effect.fnUntraced(function*(caller: MeshDialer.MeshDialer["Service"], service: string) {
  const { socket } = yield* caller.dial({ service })
  const closed = yield* Deferred.make<void>()
  const first = yield* Deferred.make<string>()
  socket.on("error", () => {})
  socket.on("close", () => {
    Deferred.doneUnsafe(first, Effect.succeed("closed"))
    Deferred.doneUnsafe(closed, Effect.void)
  })
  socket.on("data", (data: Buffer) => Deferred.doneUnsafe(first, Effect.succeed(data.toString())))
  return { said: yield* Deferred.await(first), closed: Deferred.await(closed) }
})

layer(agent.layer, { timeout: 60_000, excludeTestServices: true })("a native service", (it) => {
  it.effect("has an identity that leads to a root of the mesh", () =>
    Effect.gen(function*() {
      const service = agent.fresh("web")
      const context = yield* join(service)
      const { leaf, roots } = yield* Effect.gen(function*() {
        return { leaf: yield* (yield* LeafCertificate.LeafCertificate).get, roots: yield* (yield* CaRoots.CaRoots).get }
      }).pipe(Effect.provideContext(context))
      assert.strictEqual(leaf.identity.service, service)
      assert.strictEqual(leaf.identity.trustDomain, roots.trustDomain)
      assert.include(roots.roots.map((root) => root.certificate.subjectKeyId), leaf.certificate.authorityKeyId)
    }))

  it.effect("answers a caller that an intention allows, and knows who it is", () =>
    Effect.gen(function*() {
      const [web, api] = [agent.fresh("web"), agent.fresh("api")]
      yield* agent.allow(api, web)
      yield* greeter(api)
      const dialer = yield* MeshDialer.MeshDialer.pipe(Effect.provideContext(yield* join(web)))
      assert.strictEqual((yield* agent.eventually(call(dialer, api))).said, `hello ${web}`)
    }))

  it.effect("has an identity of its own beside another service of the same program", () =>
    Effect.gen(function*() {
      const [web, api] = [agent.fresh("web"), agent.fresh("api")]
      const identity = Effect.map(SecureContexts.SecureContexts, (contexts) => contexts.current().leaf.identity.service)
      const [inner, outer] = yield* Effect.all([
        Effect.provide(identity, Mesh.layer({ service: web })),
        identity
      ]).pipe(Effect.provide(Mesh.layer({ service: api })))
      assert.deepStrictEqual([inner, outer], [web, api])
    }))

  it.effect("closes the connection of a caller that no intention allows", () =>
    Effect.gen(function*() {
      const [web, api] = [agent.fresh("web"), agent.fresh("api")]
      const { listener } = yield* greeter(api)
      const dialer = yield* MeshDialer.MeshDialer.pipe(Effect.provideContext(yield* join(web)))
      assert.strictEqual((yield* agent.eventually(call(dialer, api))).said, "closed")
      assert.deepStrictEqual(listener.stats().refused, { denied: 1 })
    }))

  it.effect("cuts an open connection when its intention changes, and no other", () =>
    Effect.gen(function*() {
      const [web, ops, api] = [agent.fresh("web"), agent.fresh("ops"), agent.fresh("api")]
      yield* agent.allow(api, web, ops)
      const { listener } = yield* greeter(api)
      const [fromWeb, fromOps] = yield* Effect.forEach([web, ops], (service) =>
        Effect.gen(function*() {
          const dialer = yield* MeshDialer.MeshDialer.pipe(Effect.provideContext(yield* join(service)))
          return yield* agent.eventually(call(dialer, api))
        }))
      yield* agent.allow(api, ops)
      yield* fromWeb!.closed
      assert.strictEqual(listener.stats().open, 1)
      assert.strictEqual(listener.stats().cut, 1)
      assert.strictEqual(fromOps!.said, `hello ${ops}`)
    }))

  it.effect("follows a redirect to the service that stands in for another, and expects that one's identity", () =>
    Effect.gen(function*() {
      const [web, api, old] = [agent.fresh("web"), agent.fresh("api"), agent.fresh("old")]
      yield* agent.allow(api, web)
      yield* agent.entry({ Kind: "service-resolver", Name: old, Redirect: { Service: api } })
      yield* greeter(api)
      const dialer = yield* MeshDialer.MeshDialer.pipe(Effect.provideContext(yield* join(web)))
      assert.strictEqual((yield* agent.eventually(call(dialer, old))).said, `hello ${web}`)
    }))

  it.effect("says that a service has no healthy instance", () =>
    Effect.gen(function*() {
      const dialer = yield* MeshDialer.MeshDialer.pipe(Effect.provideContext(yield* join(agent.fresh("web"))))
      const error = yield* Effect.flip(dialer.dial({ service: agent.fresh("nobody") }))
      assert.strictEqual(error.reason._tag, "NoHealthyInstance")
    }))

  it.effect("goes on without a failed connection while the authority is replaced", () =>
    Effect.gen(function*() {
      const [web, api] = [agent.fresh("web"), agent.fresh("api")]
      yield* agent.allow(api, web)
      const { context } = yield* greeter(api)
      const caller = yield* join(web)
      const dialer = yield* MeshDialer.MeshDialer.pipe(Effect.provideContext(caller))
      yield* agent.eventually(call(dialer, api))
      const failures = yield* Ref.make<ReadonlyArray<string>>([])
      const traffic = yield* call(dialer, api).pipe(
        Effect.scoped,
        Effect.map(({ said }) => said === `hello ${web}` ? [] : [said]),
        Effect.catch((error) => Effect.succeed([error.message])),
        Effect.flatMap((failed) => Ref.update(failures, (all) => [...all, ...failed])),
        Effect.forever,
        Effect.forkChild
      )
      const serials = Effect.forEach([context, caller], (each) =>
        LeafCertificate.LeafCertificate.pipe(
          Effect.flatMap((leaf) => leaf.get),
          Effect.map((leaf) => leaf.certificate.authorityKeyId),
          Effect.provideContext(each)
        ))
      const before = yield* serials
      yield* agent.rotateRoot
      // Agents spread the renewal of leaves over half a minute.
      yield* agent.eventually(
        Effect.flatMap(serials, (now) =>
          now.every((id, i) => id !== before[i]) ? Effect.void : Effect.fail("not every leaf is of the new root")),
        50
      )
      yield* Fiber.interrupt(traffic)
      assert.deepStrictEqual(yield* Ref.get(failures), [])
    }), 60_000)
})
