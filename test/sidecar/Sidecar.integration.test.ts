import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schedule, Scope, SubscriptionRef } from "effect"
import { TestConsole } from "effect/testing"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, statSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import * as RefusalLines from "../../src/observe/RefusalLines.ts"
import * as Certificates from "../support/certificates.ts"
import * as Mesh from "../support/mesh.ts"
import { freePort } from "../support/ports.ts"
import * as Scrape from "../support/scrape.ts"
import * as Sidecars from "../support/sidecars.ts"
import * as Sockets from "../support/sockets.ts"
import { folder } from "../support/temporary.ts"

/** An open connection through the mesh that has been answered once. */
const talk = Effect.fnUntraced(function*(port: number) {
  const socket = yield* Sockets.connect(port)
  const answer = Sockets.record(socket)
  socket.write("hello")
  yield* answer.until("HELLO")
  return { socket, answer }
})

/** A new connection is served. */
const served = Effect.fnUntraced(function*(port: number) {
  const socket = yield* Sockets.connect(port)
  const answer = Sockets.record(socket)
  socket.end("once")
  const ending = yield* answer.ending
  assert.deepStrictEqual([ending, answer.text()], ["ended", "ONCE"])
}, Effect.scoped)

/** An application that lets the test hold its side of each connection. */
const held = Sockets.server(() => {})

const holding = Effect.gen(function*() {
  const application = yield* held
  const mesh = yield* Sidecars.pair(application.port)
  const client = yield* Sockets.connect(mesh.port)
  yield* Sockets.eventually(() => application.sockets.length === 1)
  return { ...mesh, client, application: application.sockets[0]! }
})

/** Another process listens there; the effect kills it, so that nobody cleans up. */
const socketOfProcess = (path: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ChildProcess>((resume) => {
        const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("up"))`
        const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] })
        child.stdout.once("data", () => resume(Effect.succeed(child)))
      }),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child) =>
      Effect.callback<void>((resume) => {
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  )

describe("a pair of sidecars", () => {
  it.live("carries an end of either side while the other goes on", () =>
    Effect.gen(function*() {
      for (const first of ["client", "application"] as const) {
        const sides = yield* holding
        const other = first === "client" ? "application" : "client"
        const [one, two] = [Sockets.record(sides[first]), Sockets.record(sides[other])]
        sides[first].end("question")
        assert.strictEqual(yield* two.ending, "ended")
        assert.strictEqual(two.text(), "question")
        sides[other].write("an answer ")
        yield* one.until("an answer ")
        sides[other].end("in two parts")
        assert.strictEqual(yield* one.ending, "ended")
        assert.strictEqual(one.text(), "an answer in two parts")
      }
    }))

  it.live("carries a reset of either side to the other", () =>
    Effect.gen(function*() {
      for (const first of ["client", "application"] as const) {
        const sides = yield* holding
        const other = Sockets.record(sides[first === "client" ? "application" : "client"])
        sides[first].resetAndDestroy()
        assert.strictEqual(yield* other.ending, "ECONNRESET")
      }
    }))

  it.live("keeps to the pace of a slow reader, and loses nothing", () =>
    Effect.gen(function*() {
      const { application, client, webSidecar } = yield* holding
      client.pause()
      let written = 0
      const block = Buffer.alloc(65_536, "x")
      const fill = () => {
        do written += block.length
        while (application.write(block))
      }
      application.on("drain", fill)
      fill()
      const passed = () => webSidecar.listener("upstream api")!.counts.received
      let before = -1
      while (before !== passed()) {
        before = passed()
        yield* Effect.sleep("100 millis")
      }
      // All buffers of the way are full: those of seven sockets and their kernels, whatever the application would send.
      assert.isBelow(written, 64 * 1_048_576)
      application.off("drain", fill)
      const answer = Sockets.record(client)
      client.resume()
      application.end()
      assert.strictEqual(yield* answer.ending, "ended")
      assert.strictEqual(answer.bytes(), written)
    }))

  it.live("counts connections and bytes", () =>
    Effect.gen(function*() {
      const application = yield* Sockets.shouting
      const { apiSidecar, port, webSidecar } = yield* Sidecars.pair(application.port)
      yield* talk(port)
      const [inbound, outbound] = [apiSidecar.listener("public")!, webSidecar.listener("upstream api")!]
      assert.deepInclude(inbound, { direction: "inbound", service: "api", state: { _tag: "Listening" } })
      assert.deepInclude(inbound.counts, { open: 1, accepted: 1, failed: 0, cut: 0, sent: 5, received: 5 })
      assert.deepInclude(outbound.counts, { open: 1, accepted: 1, failed: 0, sent: 5, received: 5 })
    }))

  it.live("never lets a denied caller near the application, and says why", () =>
    Effect.gen(function*() {
      const application = yield* Sockets.shouting
      const { api, apiSidecar, port } = yield* Sidecars.pair(application.port)
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", { web: "deny" }))
      const client = yield* Sockets.connect(port)
      client.write("hello")
      assert.strictEqual(yield* Sockets.record(client).ending, "ECONNRESET")
      assert.strictEqual(application.sockets.length, 0)
      assert.strictEqual(apiSidecar.listener("public")!.counts.refused.denied, 1)
      assert.include(
        JSON.stringify(yield* TestConsole.logLines),
        "web → api: denied by intention web → api (precedence 9)"
      )
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("hears at the caller's side too that it was refused, and claims no more than it knows", () =>
    Effect.gen(function*() {
      const application = yield* Sockets.shouting
      const { api, port, webSidecar } = yield* Sidecars.pair(application.port)
      const lines = Effect.map(TestConsole.logLines, (logged) => logged.map(String))
      const answered = yield* talk(port)
      application.sockets[0]!.resetAndDestroy()
      assert.strictEqual(yield* answered.answer.ending, "ECONNRESET")
      yield* Sockets.eventually(() => webSidecar.listener("upstream api")!.counts.open === 0)

      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", { web: "deny" }))
      const client = yield* Sockets.connect(port)
      client.write("hello")
      assert.strictEqual(yield* Sockets.record(client).ending, "ECONNRESET")
      assert.strictEqual(
        (yield* Scrape.samples)[`mesh_connections_unanswered_total{destination="api"}`],
        1
      )
      yield* Sockets.eventuallyEffect(
        Effect.map(
          lines,
          (lines) =>
            lines.some((line) =>
              /api \(127.0.0.1:\d+\) cut the connection before its first byte \(.*it refused us, or .*intentions web → api/
                .test(line)
            )
        )
      )
    }).pipe(Scrape.fresh, Effect.provide(TestConsole.layer)))

  it.live("logs each refusal where that is asked for, on both sides", () =>
    Effect.gen(function*() {
      const lines = Effect.map(TestConsole.logLines, (logged) => logged.map(String))
      const refusedTimes = Effect.fnUntraced(function*(times: number) {
        const application = yield* held
        const { api, port } = yield* Sidecars.pair(application.port)
        yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", { web: "deny" }))
        for (let i = 0; i < times; i++) {
          const client = yield* Sockets.connect(port)
          client.write("hello")
          yield* Sockets.record(client).ending
        }
        const count = (text: string) => Effect.map(lines, (all) => all.filter((line) => line.includes(text)).length)
        return { inbound: count("web → api: denied"), outbound: count("before its first byte") }
      })
      const sampled = yield* refusedTimes(3)
      yield* Sockets.eventuallyEffect(Effect.map(sampled.outbound, (count) => count === 1))
      assert.strictEqual(yield* sampled.inbound, 1)
      const all = yield* Effect.provideService(refusedTimes(3), RefusalLines.RefusalLines, RefusalLines.all)
      yield* Sockets.eventuallyEffect(Effect.map(all.outbound, (count) => count === 4))
      yield* Sockets.eventuallyEffect(Effect.map(all.inbound, (count) => count === 4))
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("loses the connections that a change of intentions denies, and keeps the others", () =>
    Effect.gen(function*() {
      const application = yield* Sockets.shouting
      const { api, ca, discovery, port } = yield* Sidecars.pair(application.port)
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", { web: "allow", batch: "allow" }))
      const batch = yield* Sidecars.start(
        yield* Mesh.member("batch", ca),
        discovery,
        Sidecars.registration("batch", { upstreams: [Sidecars.upstream("api")] })
      )
      const cut = yield* talk(port)
      const kept = yield* talk(batch.port("upstream api"))
      yield* SubscriptionRef.set(api.intentions, Mesh.policy("api", { batch: "allow" }))
      assert.strictEqual(yield* cut.answer.ending, "ECONNRESET")
      kept.socket.write(" again")
      yield* kept.answer.until(" AGAIN")
      yield* Sockets.eventually(() => application.sockets.filter(({ destroyed }) => destroyed).length === 1)
    }))

  it.live("serves every new connection while leaves are renewed and the root is replaced", () =>
    Effect.gen(function*() {
      const application = yield* Sockets.shouting
      const { api, ca, port, web } = yield* Sidecars.pair(application.port)
      const open = yield* talk(port)
      let connections = 0
      let running = true
      const traffic = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkChild(Effect.whileLoop({
          while: () => running,
          body: () => served(port),
          step: () => connections++
        })))
      /** Other things happen while these go by. */
      const more = (count: number) => {
        const target = connections + count
        return Sockets.eventually(() => connections >= target)
      }
      const renew = (
        member: Mesh.Member,
        name: string,
        issuer: Certificates.Authority,
        options?: Certificates.LeafOptions
      ) =>
        Effect.flatMap(
          Effect.promise(() => Certificates.leafOf(issuer, name, options)),
          (leaf) => Effect.andThen(SubscriptionRef.set(member.leaf, leaf), more(5))
        )
      for (let turn = 0; turn < 3; turn++) {
        yield* renew(web, "web", ca)
        yield* renew(api, "api", ca)
      }
      const next = yield* Effect.promise(() => Certificates.root("next"))
      const crossed = { intermediates: [yield* Effect.promise(() => Certificates.crossSign(ca, next))] }
      // The callee moves first, while its caller knows the old root only, and the other way round with the roots.
      yield* SubscriptionRef.set(api.roots, Certificates.bundle(next, ca))
      yield* renew(api, "api", next, crossed)
      yield* SubscriptionRef.set(web.roots, Certificates.bundle(next, ca))
      yield* renew(web, "web", next, crossed)
      yield* SubscriptionRef.set(web.roots, Certificates.bundle(next))
      yield* SubscriptionRef.set(api.roots, Certificates.bundle(next))
      yield* renew(api, "api", next)
      yield* more(20)
      running = false
      for (const fiber of traffic) yield* Fiber.join(fiber)
      assert.isAbove(connections, 50)
      open.socket.write(" still")
      yield* open.answer.until(" STILL")
    }))

  it.live("resets the caller when the application is down, and says which", () =>
    Effect.gen(function*() {
      const { apiSidecar, port } = yield* Sidecars.pair(yield* Sockets.closedPort)
      const client = yield* Sockets.connect(port)
      assert.strictEqual(yield* Sockets.record(client).ending, "ECONNRESET")
      yield* Sockets.eventually(() => apiSidecar.listener("public")!.counts.failed === 1)
      const lines = JSON.stringify(yield* TestConsole.logLines)
      assert.include(lines, "the connection of web failed: the application at 127.0.0.1:")
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("counts calls that reach nobody, and logs a line", () =>
    Effect.gen(function*() {
      const { discovery, port, webSidecar } = yield* Sidecars.pair(1)
      yield* discovery.setInstances(Mesh.target("api").id, [])
      for (let turn = 0; turn < 10; turn++) {
        // The reset may come before the connection is said to be there.
        yield* Effect.ignore(Effect.scoped(
          Effect.flatMap(Sockets.connect(port), (socket) => Sockets.record(socket).ending)
        ))
      }
      yield* Sockets.eventually(() => webSidecar.listener("upstream api")!.counts.failed === 10)
      assert.strictEqual(JSON.stringify(yield* TestConsole.logLines).split("cannot reach api").length, 2)
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("survives clients that leave at every stage of a connection", () =>
    Effect.gen(function*() {
      const application = yield* Sockets.shouting
      const { apiSidecar, port, webSidecar } = yield* Sidecars.pair(application.port)
      const leave = (turns: number, reset: boolean) =>
        Effect.scoped(Effect.gen(function*() {
          const socket = yield* Sockets.connect(port)
          socket.write("hello")
          for (let turn = 0; turn < turns; turn++) {
            yield* Effect.callback<void>((go) => void setImmediate(go, Effect.void))
          }
          if (reset) socket.resetAndDestroy()
        }))
      const stages = Array.from({ length: 60 }, (_, index) => [index, index % 2 === 0] as const)
      for (let round = 0; round < 3; round++) {
        yield* Effect.forEach(stages, ([turns, reset]) => leave(turns, reset), { concurrency: 12 })
      }
      const open = () =>
        [...apiSidecar.status().listeners, ...webSidecar.status().listeners]
          .reduce((sum, { counts }) => sum + counts.open + counts.handshaking, 0)
      yield* Sockets.eventually(() => open() === 0)
      yield* served(port)
      yield* Sockets.eventually(() => application.sockets.every(({ destroyed }) => destroyed))
    }))

  it.live("closes every socket with its scope", () =>
    Effect.gen(function*() {
      const sockets = () => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length
      const before = sockets()
      const during = yield* Effect.scoped(Effect.gen(function*() {
        const application = yield* Sockets.shouting
        const { port } = yield* Sidecars.pair(application.port)
        for (let turn = 0; turn < 5; turn++) yield* talk(port)
        return sockets()
      }))
      yield* Sockets.eventually(() => sockets() <= before)
      // What tests of before have left behind may have gone meanwhile.
      assert.isAbove(during, sockets() + 15)
    }))
})

describe("a sidecar", () => {
  const alone = Effect.fnUntraced(function*(
    registration: Parameters<typeof Sidecars.registration>[1],
    options?: Parameters<typeof Sidecars.start>[3]
  ) {
    const ca = yield* Effect.promise(() => Certificates.root("ca"))
    const web = yield* Mesh.member("web", ca)
    const discovery = yield* Mesh.discovery({ api: [] })
    return yield* Sidecars.start(web, discovery, Sidecars.registration("web", registration), options)
  })

  it.live("runs without upstreams", () =>
    Effect.gen(function*() {
      const sidecar = yield* alone({})
      assert.deepStrictEqual(sidecar.status().listeners.map(({ name, state }) => [name, state._tag]), [[
        "public",
        "Listening"
      ]])
    }))

  it.live("does not start while a port is taken, and says which", () =>
    Effect.gen(function*() {
      const taken = yield* held
      for (
        const registration of [
          { listen: { host: "127.0.0.1", port: taken.port } },
          { upstreams: [Sidecars.upstream("api", { host: "127.0.0.1", port: taken.port })] }
        ]
      ) {
        const error = yield* Effect.flip(alone(registration))
        assert.include(error.message, `cannot listen on 127.0.0.1:${taken.port}: the address is in use`)
      }
    }))

  it.live("does not start with a port that is none, and says which", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(alone({ listen: { host: "127.0.0.1", port: 70_000 } }))
      assert.include(error.message, "cannot listen on 127.0.0.1:70000: that is no port")
    }))

  it.live("warns once of what was registered and is not supported", () =>
    Effect.gen(function*() {
      const sidecar = yield* alone({ ignored: ["transparent mode"] })
      yield* sidecar.register(Sidecars.registration("web", { ignored: ["transparent mode", "exposed paths"] }))
      yield* Sockets.eventually(() => sidecar.status().registration.ignored.length === 2)
      const lines = JSON.stringify(yield* TestConsole.logLines)
      assert.deepStrictEqual([lines.split("transparent mode").length, lines.split("exposed paths").length], [2, 2])
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("reaches an application by its unix socket, and opens one for an upstream", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const [application, upstream] = [join(path, "app.sock"), join(path, "api.sock")]
      yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket))
          server.listen(application, () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { webSidecar } = yield* Sidecars.pair(1, {
        api: { application: { path: application } },
        web: { upstreams: [Sidecars.upstream("api", { path: upstream, mode: 0o600 })] }
      })
      assert.strictEqual(webSidecar.listener("upstream api")?.address, upstream)
      assert.strictEqual(statSync(upstream).mode & 0o777, 0o600)
      const client = yield* Effect.acquireRelease(
        Effect.sync(() => Net.connect({ path: upstream, allowHalfOpen: true })),
        (socket) => Effect.sync(() => socket.destroy())
      )
      const answer = Sockets.record(client)
      client.end("through two sockets")
      assert.strictEqual(yield* answer.ending, "ended")
      assert.strictEqual(answer.text(), "through two sockets")
    }))

  it.live("takes over a unix socket that a crash left behind, and leaves one in use alone", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "api.sock")
      const crash = yield* socketOfProcess(path)
      const registration = { upstreams: [Sidecars.upstream("api", { path })] }
      const error = yield* Effect.flip(alone(registration))
      assert.include(error.message, `cannot listen on ${path}: the address is in use`)
      const scope = yield* Scope.make()
      yield* crash
      assert.isTrue(existsSync(path))
      yield* Scope.provide(alone(registration), scope)
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(existsSync(path))
    }))

  it.live("opens, closes and moves upstreams as they are registered, and touches no other", () =>
    Effect.gen(function*() {
      const application = yield* Sockets.shouting
      const { discovery, port, webSidecar } = yield* Sidecars.pair(application.port)
      const instances = [Mesh.endpoint(1, 0)]
      yield* discovery.setRoute("cache", { targets: [Mesh.target("cache")], connectTimeoutMillis: 100 })
      yield* discovery.setInstances(Mesh.target("cache").id, instances)
      const open = yield* talk(port)
      const original = webSidecar.status().registration
      const names = () => webSidecar.status().listeners.map(({ name, state }) => `${name} ${state._tag}`)

      yield* webSidecar.register({ ...original, upstreams: [...original.upstreams, Sidecars.upstream("cache")] })
      yield* Sockets.eventually(() => names().includes("upstream cache Listening"))
      assert.strictEqual(webSidecar.port("upstream api"), port)

      const elsewhere = yield* freePort
      const moved = Sidecars.upstream("cache", { host: "127.0.0.1", port: elsewhere })
      yield* webSidecar.register({ ...original, upstreams: [...original.upstreams, moved] })
      yield* Sockets.eventually(() => webSidecar.port("upstream cache") === elsewhere)

      yield* webSidecar.register({ ...original, upstreams: [moved] })
      yield* Sockets.eventually(() => names().includes("upstream api Draining"))
      assert.include((yield* Effect.flip(Effect.scoped(Sockets.connect(port)))).message, "ECONNREFUSED")
      open.socket.end(" still open")
      assert.strictEqual(yield* open.answer.ending, "ended")
      assert.strictEqual(open.answer.text(), "HELLO STILL OPEN")
      yield* Sockets.eventually(() => !names().some((name) => name.startsWith("upstream api")))
    }))

  it.live("moves its public port while open connections go on", () =>
    Effect.gen(function*() {
      const application = yield* Sockets.shouting
      const { apiSidecar, discovery, port } = yield* Sidecars.pair(application.port)
      const open = yield* talk(port)
      const before = apiSidecar.port("public")
      const after = yield* freePort
      yield* apiSidecar.register({ ...apiSidecar.status().registration, listen: { host: "127.0.0.1", port: after } })
      yield* Sockets.eventually(() =>
        apiSidecar.status().listeners.some(({ address }) => address.endsWith(`:${after}`))
      )
      yield* discovery.setInstances(Mesh.target("api").id, [Mesh.endpoint(after)])
      yield* served(port)
      assert.include((yield* Effect.flip(Effect.scoped(Sockets.connect(before)))).message, "ECONNREFUSED")
      open.socket.write(" again")
      yield* open.answer.until(" AGAIN")
    }))

  it.live("turns to another address of the application without closing anything", () =>
    Effect.gen(function*() {
      const [old, next] = [yield* Sockets.shouting, yield* Sockets.shouting]
      const { apiSidecar, port } = yield* Sidecars.pair(old.port)
      const open = yield* talk(port)
      const before = apiSidecar.port("public")
      const application = { host: "127.0.0.1", port: next.port }
      yield* apiSidecar.register({ ...apiSidecar.status().registration, application })
      yield* Sockets.eventually(() => apiSidecar.status().registration.application === application)
      yield* served(port)
      assert.deepStrictEqual([old.sockets.length, next.sockets.length, apiSidecar.port("public")], [1, 1, before])
      open.socket.write(" again")
      yield* open.answer.until(" AGAIN")
    }))

  it.live("never leads callers of its service to the application of the one that it is registered for now", () =>
    Effect.gen(function*() {
      const [ours, theirs] = [yield* Sockets.shouting, yield* Sockets.shouting]
      const { apiSidecar, discovery, port } = yield* Sidecars.pair(ours.port)
      const open = yield* talk(port)
      const before = apiSidecar.status().registration
      yield* apiSidecar.register({
        ...before,
        service: "payments",
        application: { host: "127.0.0.1", port: theirs.port },
        upstreams: [Sidecars.upstream("api")]
      })
      yield* Sockets.eventually(() => apiSidecar.listener("public")?.state._tag === "Draining")
      const client = yield* Sockets.connect(port)
      client.write("hello")
      assert.strictEqual(yield* Sockets.record(client).ending, "ECONNRESET")
      assert.strictEqual(theirs.sockets.length, 0)
      const { listeners, movedTo, registration } = apiSidecar.status()
      assert.deepStrictEqual([movedTo, registration.service], ["payments", "api"])
      assert.deepStrictEqual(listeners.map(({ name, state }) => [name, state._tag]), [["public", "Draining"]])
      assert.include(
        JSON.stringify(yield* TestConsole.logLines),
        "registered as the proxy of payments now, and this sidecar holds the certificate and the intentions of api"
      )
      open.socket.write(" again")
      yield* open.answer.until(" AGAIN")

      yield* apiSidecar.register({ ...before })
      yield* Sockets.eventually(() => apiSidecar.status().listeners.some(({ state }) => state._tag === "Listening"))
      const back = apiSidecar.status().listeners.find(({ state }) => state._tag === "Listening")!
      yield* discovery.setInstances(Mesh.target("api").id, [Mesh.endpoint(Number(back.address.split(":").at(-1)))])
      yield* served(port)
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("opens nothing for a service that is not the one of its certificate", () =>
    Effect.gen(function*() {
      const ca = yield* Effect.promise(() => Certificates.root("ca"))
      const discovery = yield* Mesh.discovery({ api: [] })
      const registration = Sidecars.registration("payments", { upstreams: [Sidecars.upstream("api")] })
      const sidecar = yield* Sidecars.start(yield* Mesh.member("web", ca), discovery, registration)
      assert.deepStrictEqual([sidecar.status().movedTo, sidecar.status().listeners], ["payments", []])
    }))

  it.live("keeps trying to bind a new upstream whose port is taken, and says so at once", () =>
    Effect.gen(function*() {
      const sidecar = yield* alone({}, { rebind: Schedule.spaced("10 millis") })
      const taken = yield* Sockets.server(() => {})
      const bind = { host: "127.0.0.1", port: taken.port }
      yield* sidecar.register(Sidecars.registration("web", { upstreams: [Sidecars.upstream("api", bind)] }))
      yield* Sockets.eventually(() => sidecar.listener("upstream api")?.state._tag === "Failed")
      const lines = JSON.stringify(yield* TestConsole.logLines)
      assert.include(lines, `upstream api: cannot listen on 127.0.0.1:${taken.port}: the address is in use`)
      taken.close()
      yield* Sockets.eventually(() => sidecar.listener("upstream api")?.state._tag === "Listening")
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("gives up a listener that could not bind once it is no longer wanted", () =>
    Effect.gen(function*() {
      const sidecar = yield* alone({}, { rebind: Schedule.spaced("10 millis") })
      const taken = yield* held
      const bind = { host: "127.0.0.1", port: taken.port }
      yield* sidecar.register(Sidecars.registration("web", { upstreams: [Sidecars.upstream("api", bind)] }))
      yield* Sockets.eventually(() => sidecar.listener("upstream api")?.state._tag === "Failed")
      yield* sidecar.register(Sidecars.registration("web"))
      yield* Sockets.eventually(() => sidecar.listener("upstream api") === undefined)
    }))

  it.live("lets two upstreams swap their ports", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* freePort, yield* freePort]
      const at = (port: number) => ({ host: "127.0.0.1", port })
      const upstreams = (first: number, second: number) => ({
        upstreams: [Sidecars.upstream("api", at(first)), Sidecars.upstream("cache", at(second))]
      })
      const sidecar = yield* alone(upstreams(one, two))
      yield* sidecar.register(Sidecars.registration("web", upstreams(two, one)))
      yield* Sockets.eventually(() => sidecar.port("upstream api") === two && sidecar.port("upstream cache") === one)
      assert.strictEqual(sidecar.listener("upstream api")?.state._tag, "Listening")
    }))

  it.live("is known to have failed when a bug ends what follows its registration", () =>
    Effect.gen(function*() {
      const { port } = yield* held
      const { webSidecar } = yield* Sidecars.pair(port)
      yield* webSidecar.register({
        ...Sidecars.registration("web"),
        get maxInboundConnections(): number {
          throw new Error("a bug")
        }
      })
      const { message } = yield* Effect.flip(webSidecar.failed)
      assert.include(message, "what follows the registration has ended by itself")
    }))
})
