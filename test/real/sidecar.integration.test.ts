import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, type Scope } from "effect"
import * as Net from "node:net"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as agent from "../support/consul.ts"

/** An application that repeats what it hears in capitals, and says goodbye when the caller has ended. */
const shouting = (port: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
        socket.on("error", () => {})
        socket.on("data", (data) => socket.write(data.toString().toUpperCase()))
        socket.on("end", () => socket.end(" goodbye"))
      })
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  ).pipe(Effect.asVoid)

/** A connection of the application to a local port. Each `say` answers the next bytes that come, or "closed". */
const connect = (port: number) =>
  Effect.gen(function*() {
    const closed = yield* Deferred.make<void>()
    const socket = yield* Effect.acquireRelease(
      Effect.callback<Net.Socket, string>((resume) => {
        const socket = Net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
        socket.on("error", (error) => resume(Effect.fail(error.message)))
        socket.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
      }),
      (socket) => Effect.sync(() => socket.destroy())
    )
    const say = (text: string) =>
      Effect.callback<string>((resume) => {
        socket.once("data", (data) => resume(Effect.succeed(data.toString())))
        socket.once("close", () => resume(Effect.succeed("closed")))
        if (socket.destroyed) resume(Effect.succeed("closed"))
        else socket.write(text)
      })
    return { say, closed: Deferred.await(closed) }
  })

/** web with a sidecar whose upstream is api, and api with a sidecar and an application. */
const pair = Effect.gen(function*() {
  const [web, api] = [agent.fresh("web"), agent.fresh("api")]
  const ports = yield* Effect.all({
    app: agent.freePort,
    apiPublic: agent.freePort,
    webPublic: agent.freePort,
    upstream: agent.freePort
  })
  yield* shouting(ports.app)
  const upstreams = [{ DestinationName: api, LocalBindPort: ports.upstream }]
  yield* agent.register({ name: api, port: ports.app, sidecar: { port: ports.apiPublic } })
  yield* agent.register({ name: web, port: 1, sidecar: { port: ports.webPublic, upstreams } })
  const sidecar = (name: string) => ConsulSidecar.make({ proxyId: `${name}-sidecar-proxy`, drain: "1 second" })
  return { web, api, ports, upstreams, sidecar }
})

/** A fresh connection and one exchange. */
const ask = (port: number) => Effect.scoped(Effect.flatMap(connect(port), ({ say }) => say("hello")))

const expectShout = (port: number) =>
  agent.eventually(Effect.filterOrFail(ask(port), (said) => said === "HELLO", (said) => `it said ${said}`))

/** The same, up and allowed to talk. `status` is that of web's sidecar. */
const talking = Effect.gen(function*() {
  const parts = yield* pair
  yield* agent.allow(parts.api, parts.web)
  yield* parts.sidecar(parts.api)
  const { status } = yield* parts.sidecar(parts.web)
  yield* expectShout(parts.ports.upstream)
  return { ...parts, status }
})

layer(agent.layer, { timeout: 60_000, excludeTestServices: true })("a pair of sidecars", (it) => {
  it.effect("carries bytes between applications that know nothing of the mesh", () => talking)

  it.effect("carries the end of one direction while the other goes on", () =>
    Effect.gen(function*() {
      const { ports } = yield* talking
      const heard = yield* Effect.callback<string>((resume) => {
        const socket = Net.connect({ port: ports.upstream, host: "127.0.0.1", allowHalfOpen: true })
        let text = ""
        socket.on("data", (data) => text += data.toString())
        socket.on("close", () => resume(Effect.succeed(text)))
        socket.on("end", () => socket.destroy())
        socket.on("error", (error) => resume(Effect.succeed(error.message)))
        socket.end("all i have to say")
        return Effect.sync(() => socket.destroy())
      })
      assert.strictEqual(heard, "ALL I HAVE TO SAY goodbye")
    }))

  it.effect("refuses what no intention allows, and counts it by reason", () =>
    Effect.gen(function*() {
      const { api, ports, sidecar, web } = yield* pair
      const { status } = yield* sidecar(api)
      yield* sidecar(web)
      assert.strictEqual(yield* agent.eventually(ask(ports.upstream)), "closed")
      yield* agent.eventually(Effect.suspend(() => {
        const refused = status().listeners.find(({ direction }) => direction === "inbound")?.counts.refused
        return JSON.stringify(refused)?.includes("denied") === true ? Effect.void : Effect.fail(`refused ${refused}`)
      }))
    }))

  it.effect("cuts an open connection when the intention goes", () =>
    Effect.gen(function*() {
      const { api, ports } = yield* talking
      const { closed, say } = yield* connect(ports.upstream)
      assert.strictEqual(yield* say("still here"), "STILL HERE")
      yield* agent.allow(api, "somebody-else")
      yield* closed
    }))

  it.effect("follows its registration: upstreams come, go and move, and open connections stay", () =>
    Effect.gen(function*() {
      const { api, ports, status, upstreams, web } = yield* talking
      const listening = (port: number) =>
        status().listeners.some(({ address, state }) => address.endsWith(`:${port}`) && state._tag === "Listening")
      const { say } = yield* connect(ports.upstream)
      assert.strictEqual(yield* say("one"), "ONE")

      const moved = yield* agent.freePort
      const register = (upstreams: ReadonlyArray<{ DestinationName: string; LocalBindPort: number }>) =>
        agent.put({ name: web, port: 1, sidecar: { port: ports.webPublic, upstreams } })
      yield* register([{ DestinationName: agent.fresh("other"), LocalBindPort: moved }, ...upstreams])
      yield* agent.eventually(Effect.suspend(() => listening(moved) ? Effect.void : Effect.fail("not listening yet")))
      assert.strictEqual(yield* say("two"), "TWO")

      const last = yield* agent.freePort
      yield* register([{ DestinationName: api, LocalBindPort: last }])
      yield* expectShout(last)
      yield* agent.eventually(Effect.flip(Effect.scoped(connect(ports.upstream))))
    }))

  it.effect("leads an upstream that is a prepared query to what the query finds", () =>
    Effect.gen(function*() {
      const { api, ports, sidecar, web } = yield* pair
      const query = agent.fresh("geo")
      yield* agent.allow(api, web)
      yield* agent.query({ Name: query, Service: { Service: api } })
      const found = yield* agent.freePort
      const upstreams = [{ DestinationName: query, DestinationType: "prepared_query", LocalBindPort: found }]
      yield* agent.put({ name: web, port: 1, sidecar: { port: ports.webPublic, upstreams } })
      yield* sidecar(api)
      const { status } = yield* sidecar(web)
      yield* expectShout(found)
      assert.deepStrictEqual(status().registration.ignored, [])
    }))

  it.effect("starts without upstreams, and says at once which port is taken", () =>
    Effect.gen(function*() {
      const { api, ports, sidecar } = yield* pair
      yield* sidecar(api)
      const error = yield* Effect.flip(sidecar(api))
      assert.strictEqual(error._tag, "ListenError")
      assert.include(error.message, String(ports.apiPublic))
    }))

  it.effect("says which registration is missing", () =>
    Effect.gen(function*() {
      const proxyId = agent.fresh("nobody")
      const error = yield* Effect.flip(ConsulSidecar.make({ proxyId, readyWithin: "1 second" }))
      assert.strictEqual(error._tag, "NotReady")
      assert.include(error.message, proxyId)
    }))
})
