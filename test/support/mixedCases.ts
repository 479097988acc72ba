/** What every pair of a mixed mesh has to do, as tests. */
import * as Tls from "node:tls"
import { assert, type Vitest } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber } from "effect"
import * as agent from "./consul.ts"
import * as Echo from "./echoService.ts"
import * as MixedMesh from "./mixedMesh.ts"
import * as Sockets from "./sockets.ts"

export class Cast extends Context.Service<Cast, MixedMesh.Mesh>()("test/support/mixedCases/Cast") {}

/** A connection whose first word was answered. */
const opened = Effect.fnUntraced(function*(port: number) {
  const socket = yield* Sockets.connect(port)
  const record = Sockets.record(socket)
  socket.write("hello")
  const how = yield* Effect.raceFirst(Effect.as(record.until("HELLO"), "served"), record.ending)
  if (how !== "served") return yield* Effect.fail(how)
  return { socket, record }
})

/** Instances and intentions may be about to be known. */
const served = (port: number) =>
  agent.eventually(Effect.timeout(Effect.scoped(opened(port)), "1 second"), 20).pipe(
    Effect.timeout("30 seconds"),
    Effect.mapError((how) => new Error(`no answer through port ${port}: ${how}`)),
    Effect.orDie
  )

const refused = (port: number) =>
  Sockets.eventuallyEffect(Effect.scoped(Effect.gen(function*() {
    const socket = yield* Effect.orDie(Sockets.connect(port))
    const record = Sockets.record(socket)
    socket.write("hello")
    const how = yield* Effect.raceFirst(Effect.as(record.until("HELLO"), "served"), record.ending)
    return how !== "served" && record.text() === ""
  })))

/** Of the certificate that a listener of the mesh shows. */
const serialOf = (port: number) =>
  Effect.callback<string>((resume) => {
    const socket = Tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      resume(Effect.succeed(socket.getPeerCertificate().serialNumber))
      socket.destroy()
    })
    socket.on("error", (error) => resume(Effect.die(error)))
  })

const status = (code: number, asking: ReturnType<Echo.Client>) =>
  agent.eventually(Effect.filterOrFail(asking, (answer) => answer.status === code, (answer) => answer.status), 20)

/** The one that ends first there ends both directions. */
const carriesHalves = ({ callee, caller }: MixedMesh.Pair): boolean => caller !== "consul" && callee !== "consul"

export const cases = (it: Vitest.MethodsNonLive<Cast>, pairs: ReadonlyArray<MixedMesh.Pair>): void => {
  it.effect.each(pairs)(
    "$caller → $callee: carries a megabyte both ways, and the end of either",
    (pair) =>
      Effect.gen(function*() {
        const mesh = yield* Cast
        const port = mesh.port("bytes", pair)
        yield* served(port)
        const { record, socket } = yield* opened(port)
        socket.write("x".repeat(1_000_000))
        yield* Sockets.eventually(() => record.bytes() === 1_000_005)
        if (carriesHalves(pair)) {
          // The answer comes after the end of what was asked.
          socket.end("bye")
          yield* record.until("BYE")
        } else socket.end()
        assert.strictEqual(yield* record.ending, "ended")
      })
  )

  it.effect("all: connections share one of TLS between sidecars with tunnels, and nowhere else", () =>
    Effect.gen(function*() {
      const mesh = yield* Cast
      for (const pair of pairs) for (let more = 0; more < 3; more++) yield* opened(mesh.port("bytes", pair))
      const tunnels = Effect.all([
        ...["bytes-ours", "bytes-apart"].map((service) => mesh.tunnels(service, "inbound")),
        ...["web-ours", "web-apart"].map((service) => mesh.tunnels(service, "outbound"))
      ])
      assert.deepStrictEqual(yield* tunnels, [1, 0, 1, 0])
    }))

  it.effect.each(pairs)(
    "$caller → $callee: a caller that is denied is refused, and let in again",
    (pair) =>
      Effect.gen(function*() {
        const mesh = yield* Cast
        const port = mesh.port("bytes", pair)
        yield* served(port)
        const open = yield* opened(port)
        yield* mesh.permit("bytes", pair, { Action: "deny" })
        yield* refused(port)
        if (MixedMesh.isOurs(pair.callee)) {
          // The other ones dial it before they judge.
          const before = mesh.accepted()
          yield* refused(port)
          assert.strictEqual(mesh.accepted(), before, "the application hears nothing of it")
          // What is open is cut. Sidecars of others may make an end of that.
          const ending = yield* open.record.ending
          if (MixedMesh.isOurs(pair.caller)) assert.strictEqual(ending, "ECONNRESET")
        }
        yield* mesh.permit("bytes", pair, { Action: "allow" })
        yield* served(port)
      })
  )

  it.effect.each(pairs)(
    "$caller → $callee: requests are judged one by one",
    (pair) =>
      Effect.gen(function*() {
        const mesh = yield* Cast
        const ask = yield* Echo.client(mesh.port("http", pair))
        yield* status(200, ask())
        // It judges connections, once: those that are kept go on.
        if (pair.callee === "consul") return
        yield* mesh.permit("http", pair, {
          Permissions: [
            { Action: "allow", HTTP: { PathPrefix: "/public", Methods: ["GET"] } },
            { Action: "deny", HTTP: { PathPrefix: "/" } }
          ]
        })
        const answer = yield* status(403, ask({ path: "/private" }))
        assert.strictEqual(answer.body.toString(), "RBAC: access denied")
        assert.strictEqual((yield* ask({ path: "/public/lamp" })).status, 200)
        assert.strictEqual((yield* ask({ path: "/public/lamp", method: "POST", body: ["x"] })).status, 403)
        yield* mesh.permit("http", pair, { Action: "allow" })
        yield* status(200, ask({ path: "/private" }))
      })
  )

  it.effect(
    "all: new connections are served and open ones last while root and leaves are replaced",
    () =>
      Effect.gen(function*() {
        const mesh = yield* Cast
        const serials = Effect.forEach(
          mesh.kinds.filter((kind) => pairs.some(({ callee }) => callee === kind)),
          (kind) => serialOf(mesh.publicPort("bytes", kind))
        )
        const open = yield* Effect.forEach(
          pairs,
          (pair) => Effect.map(opened(mesh.port("bytes", pair)), (it) => ({ ...it, pair }))
        )
        const before = yield* serials
        const done = yield* Deferred.make<void>()
        const failures: Array<string> = []
        const traffic = yield* Effect.forkChild(Effect.forEach(pairs, (pair) =>
          Effect.gen(function*() {
            while (!(yield* Deferred.isDone(done))) {
              const outcome = yield* Effect.scoped(Effect.gen(function*() {
                const socket = yield* Effect.orDie(Sockets.connect(mesh.port("bytes", pair)))
                const record = Sockets.record(socket)
                socket.write("hello")
                return yield* Effect.raceFirst(record.ending, Effect.as(record.until("HELLO"), "served"))
              }))
              if (outcome !== "served") failures.push(`${pair.caller} → ${pair.callee}: ${outcome}`)
              yield* Effect.sleep("20 millis")
            }
          }), { concurrency: "unbounded" }))
        yield* mesh.rotateRoot
        yield* Sockets.eventuallyEffect(Effect.map(serials, (now) => now.every((serial, i) => serial !== before[i])))
        yield* Deferred.succeed(done, undefined)
        yield* Fiber.join(traffic)
        assert.deepStrictEqual(failures, [])
        for (const { pair, record, socket } of open) {
          // It starts its listeners anew, and ends what is open once these have drained.
          if (pair.callee === "envoy") continue
          socket.write("still")
          const how = yield* Effect.raceFirst(Effect.as(record.until("STILL"), "lasts"), record.ending)
          assert.strictEqual(how, "lasts", `${pair.caller} → ${pair.callee}`)
        }
      }),
    120_000
  )

  const draining = pairs.filter(({ callee }) => MixedMesh.isOurs(callee))
  it.effect("all: a callee of ours that leaves finishes what is open, and takes nothing more", () =>
    Effect.gen(function*() {
      const mesh = yield* Cast
      const open = yield* Effect.forEach(
        draining,
        (pair) => Effect.map(opened(mesh.port("bytes", pair)), (it) => ({ ...it, pair }))
      )
      const callees = [...new Set(draining.map(({ callee }) => callee))]
      const leaving = yield* Effect.forkChild(
        Effect.forEach(callees, (kind) => mesh.stop(`bytes-${kind}`), { concurrency: "unbounded" })
      )
      for (const { pair, record, socket } of open) {
        yield* refused(mesh.port("bytes", pair))
        socket.write("last")
        yield* record.until("LAST")
        socket.end()
        assert.strictEqual(yield* record.ending, "ended")
      }
      yield* Fiber.join(leaving)
    }))

  const leaving = pairs.filter(({ callee, caller }) => MixedMesh.isOurs(caller) && !MixedMesh.isOurs(callee))
  if (leaving.length === 0) return
  it.effect("all: a caller of ours that leaves finishes what is open to the others", () =>
    Effect.gen(function*() {
      const mesh = yield* Cast
      const open = yield* Effect.forEach(leaving, (pair) => opened(mesh.port("bytes", pair)))
      const stopping = yield* Effect.forkChild(Effect.forEach(
        [...new Set(leaving.map(({ caller }) => caller))],
        (kind) => mesh.stop(`web-${kind}`),
        { concurrency: "unbounded" }
      ))
      for (const { record, socket } of open) {
        socket.write("last")
        yield* record.until("LAST")
        socket.end()
        assert.strictEqual(yield* record.ending, "ended")
      }
      yield* Fiber.join(stopping)
    }))
}
