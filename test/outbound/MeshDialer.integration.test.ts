import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope, SubscriptionRef } from "effect"
import { TestConsole } from "effect/testing"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as LoadBalancer from "../../src/balance/LoadBalancer.ts"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as MeshDialer from "../../src/outbound/MeshDialer.ts"
import * as MeshListener from "../../src/inbound/MeshListener.ts"
import * as Certificates from "../support/certificates.ts"
import { shout } from "../support/listeners.ts"
import * as Mesh from "../support/mesh.ts"
import * as Sockets from "../support/sockets.ts"

/** A dialler of `web`, and ways to put instances of services into its mesh. */
const setUp = Effect.gen(function*() {
  const ca = yield* Effect.promise(() => Certificates.root("ca"))
  const web = yield* Mesh.member("web", ca)
  const discovery = yield* Mesh.discovery({ api: [] })
  const context = yield* Layer.build(
    Layer.fresh(MeshDialer.layer.pipe(Layer.provideMerge(Layer.mergeAll(web.layer, discovery.layer))))
  )
  const instance = Effect.fnUntraced(function*(service: string, datacenter = "dc1") {
    const member = yield* Mesh.member(service, ca)
    const identity = SpiffeId.format({ ...Certificates.service(service), datacenter })
    yield* SubscriptionRef.set(
      member.leaf,
      yield* Effect.promise(() => Certificates.leafOf(ca, service, { uris: [identity] }))
    )
    const listener = yield* MeshListener.make({ host: "127.0.0.1", port: 0, handle: shout, drain: 0 }).pipe(
      Effect.provideContext(yield* Layer.build(Layer.fresh(member.layer)))
    )
    return { listener, port: listener.port, member }
  })
  return {
    ca,
    web,
    instance,
    dialer: Context.get(context, MeshDialer.MeshDialer),
    setRoute: discovery.setRoute,
    instances: (...list: ReadonlyArray<readonly [port: number, weight?: number]>) =>
      discovery.setInstances(Mesh.target("api").id, list.map(([port, weight]) => Mesh.endpoint(port, weight))),
    setInstances: discovery.setInstances
  }
})

/** Talks to whoever answers. */
const says = (dialing: ReturnType<MeshDialer.MeshDialer["Service"]["dial"]>) =>
  Effect.gen(function*() {
    const connection = yield* dialing
    const answer = Sockets.record(connection.socket)
    connection.socket.end("hello")
    yield* answer.ending
    return `${SpiffeId.display(connection.peer)} says ${answer.text()}`
  })

/** A TLS server with this certificate that asks for none. */
const server = (issued: Certificates.Issued) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Tls.Server>((resume) => {
        const listener = Tls.createServer({ cert: issued.chainPem, key: issued.keyPem }, (socket) => {
          socket.on("error", () => {})
        })
        listener.on("tlsClientError", (_, socket) => socket.destroy())
        listener.listen(0, "127.0.0.1", () => resume(Effect.succeed(listener)))
      }),
      (listener) => Effect.sync(() => listener.close())
    ),
    (listener) => (listener.address() as Net.AddressInfo).port
  )

describe("MeshDialer", () => {
  it.live("reaches a healthy instance and knows who it is", () =>
    Effect.gen(function*() {
      const { dialer, instance, instances } = yield* setUp
      const api = yield* instance("api")
      yield* instances([yield* Sockets.closedPort, 0], [api.port])
      assert.strictEqual(yield* says(dialer.dial({ service: "api" })), "api says HELLO")
    }))

  it.live("reaches a fixed address, where the given identity must answer", () =>
    Effect.gen(function*() {
      const { dialer, instance } = yield* setUp
      const api = yield* instance("api")
      const address = { host: "127.0.0.1", port: api.port }
      const dial = (expected: string) =>
        dialer.dialAddress({ address, expected: Certificates.service(expected), sni: undefined, timeoutMillis: 2000 })
      assert.strictEqual(yield* says(dial("api")), "api says HELLO")
      const error = yield* Effect.flip(dial("billing"))
      assert.strictEqual(
        error.message,
        `cannot reach billing: 127.0.0.1:${api.port} is ${SpiffeId.format(Certificates.service("api"))}, and ` +
          `${SpiffeId.format(Certificates.service("billing"))} was expected`
      )
    }))

  it.live("says so when no instance is healthy, or none exists", () =>
    Effect.gen(function*() {
      const { dialer, instances } = yield* setUp
      const none = yield* Effect.flip(dialer.dial({ service: "api" }))
      assert.strictEqual(none.reason._tag, "NoHealthyInstance")
      assert.include(none.message, "cannot reach api: no instance")
      yield* instances([1, 0], [2, 0])
      assert.include(
        (yield* Effect.flip(dialer.dial({ service: "api" }))).message,
        "none of its 2 instances is healthy"
      )
    }))

  it.live("gives up waiting for a chain that does not come", () =>
    Effect.gen(function*() {
      const { dialer } = yield* setUp
      const error = yield* Effect.flip(dialer.dial({ service: "unknown", connectTimeoutMillis: 20 }))
      assert.strictEqual(
        error.message,
        "cannot reach unknown: its discovery chain was not ready within 20 ms: " +
          "the agent has not answered yet. Check that it is reachable"
      )
    }))

  it.live("tries another instance when one does not accept", () =>
    Effect.gen(function*() {
      const { dialer, instance, instances } = yield* setUp
      const api = yield* instance("api")
      yield* instances([yield* Sockets.closedPort, 128], [yield* Sockets.closedPort, 128], [api.port, 1])
      assert.strictEqual(yield* says(dialer.dial({ service: "api" })), "api says HELLO")
    }))

  it.live("tries another instance when one is somebody else", () =>
    Effect.gen(function*() {
      const { dialer, instance, instances } = yield* setUp
      const [api, billing] = [yield* instance("api"), yield* instance("billing")]
      yield* instances([billing.port, 128], [api.port, 1])
      for (let turn = 0; turn < 5; turn++) {
        assert.strictEqual(yield* says(dialer.dial({ service: "api" })), "api says HELLO")
      }
      assert.include(JSON.stringify(yield* TestConsole.logLines), "Trying another instance")
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("leaves time for another instance when one does not answer", () =>
    Effect.gen(function*() {
      const { dialer, instance, instances, setRoute } = yield* setUp
      const api = yield* instance("api")
      const silent = yield* Sockets.server((socket) => socket.resume())
      const within = (connectTimeoutMillis: number) =>
        setRoute("api", { targets: [Mesh.target("api")], connectTimeoutMillis })
      yield* within(2000)
      yield* instances([silent.port, 128], [api.port, 1])
      assert.strictEqual(yield* says(dialer.dial({ service: "api" })), "api says HELLO")

      yield* within(500)
      yield* instances([silent.port])
      const error = yield* Effect.flip(dialer.dial({ service: "api" }))
      assert.strictEqual(error.reason._tag, "TimedOut")
      assert.include(error.message, `TLS handshake with 127.0.0.1:${silent.port} was not ready within`)
      yield* Sockets.eventually(() => silent.sockets.every((socket) => socket.readableEnded || socket.destroyed))
    }))

  it.live("counts the instances that it tried", () =>
    Effect.gen(function*() {
      const { dialer, instances } = yield* setUp
      yield* instances([yield* Sockets.closedPort], [yield* Sockets.closedPort], [yield* Sockets.closedPort], [
        yield* Sockets.closedPort
      ])
      const error = yield* Effect.flip(dialer.dial({ service: "api" }))
      assert.strictEqual(error.attempts, 3)
      assert.include(error.message, "cannot reach api (3 instances tried): 127.0.0.1:")
      assert.include(error.message, "ECONNREFUSED")
    }))

  it.live("leaves out an instance that refused five connections in a row, and says so", () =>
    Effect.gen(function*() {
      const { dialer, instance, instances } = yield* setUp
      const api = yield* instance("api")
      const failing = yield* Sockets.server((socket) => socket.destroy())
      yield* instances([failing.port], [api.port])
      for (let turn = 0; turn < 20; turn++) {
        assert.strictEqual(yield* says(dialer.dial({ service: "api" })), "api says HELLO")
      }
      assert.strictEqual(failing.sockets.length, 5)
      const lines = (yield* TestConsole.logLines).map(String).filter((line) => line.includes("ejected"))
      assert.strictEqual(lines.length, 1)
      assert.include(
        lines[0],
        `api: ejected node/${failing.port} at 127.0.0.1:${failing.port} for a while, as connections to it fail`
      )
      yield* instances([failing.port])
      yield* Effect.flip(dialer.dial({ service: "api" }))
      assert.strictEqual(failing.sockets.length, 6, "an ejected instance is better than none")
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("connects to the instance with the fewest open connections where the service-resolver wants that", () =>
    Effect.gen(function*() {
      const { dialer, instance, instances, setRoute } = yield* setUp
      const ports = [(yield* instance("api")).port, (yield* instance("api")).port]
      // So many choices that both instances are among them.
      const balancing = { policy: LoadBalancer.leastRequest(64), hashBy: [] }
      yield* setRoute("api", { targets: [Mesh.target("api")], connectTimeoutMillis: 2000, balancing })
      yield* instances(...ports.map((port) => [port] as const))
      const open = Effect.gen(function*() {
        const scope = yield* Scope.fork(yield* Effect.scope)
        const { remote, socket } = yield* Scope.provide(dialer.dial({ service: "api" }), scope)
        const close = Effect.andThen(Scope.close(scope, Exit.void), Sockets.eventually(() => socket.closed))
        return { remote, close }
      })
      const held = yield* Effect.all(Array.from({ length: 6 }, () => open))
      const times = (port: number) => held.filter(({ remote }) => remote === `127.0.0.1:${port}`).length
      assert.deepStrictEqual(ports.map(times), [3, 3])
      const [first] = held
      for (const { close, remote } of held) if (remote === first!.remote) yield* close
      for (let turn = 0; turn < 3; turn++) assert.strictEqual((yield* open).remote, first!.remote)
    }))

  it.live("goes to the next target when it has tried all instances of the first", () =>
    Effect.gen(function*() {
      const { dialer, instance, instances, setInstances, setRoute } = yield* setUp
      const far = yield* instance("api", "dc2")
      yield* setRoute("api", { targets: [Mesh.target("api"), Mesh.target("api", "dc2")], connectTimeoutMillis: 2000 })
      yield* setInstances(Mesh.target("api", "dc2").id, [Mesh.endpoint(far.port)])
      yield* instances([yield* Sockets.closedPort], [yield* Sockets.closedPort])
      const { peer } = yield* dialer.dial({ service: "api" })
      assert.strictEqual(peer.datacenter, "dc2")
    }))

  it.live("goes to the next target while the first has no healthy instance, and expects its identity", () =>
    Effect.gen(function*() {
      const { dialer, instance, instances, setInstances, setRoute } = yield* setUp
      const [near, far] = [yield* instance("api"), yield* instance("api", "dc2")]
      yield* setRoute("api", { targets: [Mesh.target("api"), Mesh.target("api", "dc2")], connectTimeoutMillis: 2000 })
      yield* setInstances(Mesh.target("api", "dc2").id, [Mesh.endpoint(far.port)])
      const where = Effect.scoped(Effect.map(dialer.dial({ service: "api" }), ({ peer }) => peer.datacenter))
      yield* instances([near.port, 0])
      assert.strictEqual(yield* where, "dc2")
      yield* instances([near.port, 1])
      assert.strictEqual(yield* where, "dc1")
      // An instance of the other datacenter at an address of this one is not let pass.
      yield* instances([far.port, 1])
      assert.strictEqual(
        (yield* Effect.flip(Effect.scoped(dialer.dial({ service: "api" })))).reason._tag,
        "UnexpectedIdentity"
      )
    }))

  it.live.each(
    [
      ["expired", "certificate_expired", { notBefore: -60_000, notAfter: -1000 }],
      ["without a URI", "no_identity", { uris: [] }],
      ["for clients only", "wrong_purpose", { usages: ["client"] }]
    ] as const
  )("refuses an instance whose certificate is %s", ([, reason, faults]) =>
    Effect.gen(function*() {
      const { ca, dialer, instances } = yield* setUp
      const issued = yield* Effect.promise(() =>
        Certificates.issue(ca, { uris: [SpiffeId.format(Certificates.service("api"))], ...faults })
      )
      yield* instances([yield* server(issued)])
      const error = yield* Effect.flip(dialer.dial({ service: "api" }))
      assert.strictEqual(error.reason._tag === "HandshakeFailed" && error.reason.reason, reason)
    }))

  it.live("refuses an instance of another authority, and one that speaks no TLS", () =>
    Effect.gen(function*() {
      const { dialer, instances } = yield* setUp
      const other = yield* Effect.promise(async () => Certificates.issue(await Certificates.root("ca")))
      const plain = yield* Sockets.server((socket) => socket.write("220 welcome\r\n"))
      const reason = Effect.map(
        Effect.flip(dialer.dial({ service: "api" })),
        (error) => error.reason._tag === "HandshakeFailed" && error.reason.reason
      )
      yield* instances([yield* server(other)])
      assert.strictEqual(yield* reason, "unknown_authority")
      yield* instances([plain.port])
      assert.strictEqual(yield* reason, "not_tls")
    }))

  it.live("hears of a refusal on the first read, as a reset", () =>
    Effect.gen(function*() {
      const { dialer, instance, instances } = yield* setUp
      const api = yield* instance("api")
      yield* SubscriptionRef.set(api.member.intentions, Mesh.policy("api", { web: "deny" }))
      yield* instances([api.port])
      const connection = yield* dialer.dial({ service: "api" })
      assert.strictEqual(yield* Sockets.record(connection.socket).ending, "ECONNRESET")
    }))

  it.live("leaves nothing open when it is interrupted", () =>
    Effect.gen(function*() {
      const { dialer, instances } = yield* setUp
      const silent = yield* Sockets.server(() => {})
      yield* instances([silent.port])
      yield* Effect.scoped(dialer.dial({ service: "api" })).pipe(
        Effect.raceFirst(Sockets.eventually(() => silent.sockets.length === 1))
      )
      const record = Sockets.record(silent.sockets[0]!)
      assert.include(["ended", "ECONNRESET", "closed"], yield* record.ending)
    }))
})
