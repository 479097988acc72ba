import { assert, describe, it } from "@effect/vitest"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { Effect, Fiber, Queue } from "effect"
import { TestConsole } from "effect/testing"
import * as LoadBalancer from "../../src/balance/LoadBalancer.ts"
import type * as Connect from "../../src/outbound/Connect.ts"
import * as DialError from "../../src/outbound/DialError.ts"
import * as Resolver from "../../src/outbound/Resolver.ts"
import * as TcpUpstream from "../../src/outbound/TcpUpstream.ts"
import * as Certificates from "../support/certificates.ts"
import * as Mesh from "../support/mesh.ts"

/** So long that what a slow machine takes does not show. */
const connectTimeoutMillis = 1e9

/** `api` with so many instances, which `open` connects to. No socket is opened. */
const upstream = Effect.fnUntraced(function*(count: number, open: TcpUpstream.Open<Connect.Connection>) {
  const instances = Array.from({ length: count }, (_, i) => ({
    address: { host: "192.0.2.1", port: i + 1 },
    expected: "api"
  }))
  const { layer } = yield* Mesh.discovery({})
  const made = yield* Effect.provide(TcpUpstream.make(Resolver.fixed(instances, { connectTimeoutMillis })), layer)
  return { ...made, connect: made.connect(open) }
})

const refused = Effect.fail(new DialError.ConnectFailed({ address: "192.0.2.1:1", code: "ECONNREFUSED" }))

const connected: Effect.Effect<Connect.Connection> = Effect.sync(() => ({
  socket: new Tls.TLSSocket(new Net.Socket()),
  reset: () => {},
  peer: Certificates.service("api"),
  remote: "192.0.2.1:1"
}))

const ejections = Effect.map(TestConsole.logLines, (lines) => JSON.stringify(lines).split(": ejected ").length - 1)

describe("TcpUpstream", () => {
  it.effect("gives an attempt half of the time that is left while another instance stands by, and the last one all of it", () =>
    Effect.gen(function*() {
      const shares: Array<number> = []
      const { connect } = yield* upstream(5, (_, __, millis) => {
        shares.push(Math.round(millis / connectTimeoutMillis * 100))
        return refused
      })
      assert.strictEqual((yield* Effect.flip(connect)).attempts, 3)
      assert.deepStrictEqual(shares, [50, 50, 100])
    }))

  it.effect("tries an instance once", () =>
    Effect.gen(function*() {
      const tried: Array<string> = []
      const { connect } = yield* upstream(2, (_, { id }) => {
        tried.push(id)
        return refused
      })
      assert.strictEqual((yield* Effect.flip(connect)).attempts, 2)
      assert.sameMembers(tried, ["192.0.2.1:1", "192.0.2.1:2"])
    }))

  it.effect("ejects as the passive health check of its resolver says", () =>
    Effect.gen(function*() {
      const { layer } = yield* Mesh.discovery({})
      const instance = { address: { host: "192.0.2.1", port: 1 }, expected: "api" }
      const { connect } = yield* Effect.provide(
        TcpUpstream.make({
          ...Resolver.fixed([instance], { connectTimeoutMillis }),
          passiveHealthCheck: { maxFailures: 2 }
        }),
        layer
      )
      yield* Effect.repeat(Effect.exit(connect(() => refused)), { times: 1 })
      assert.strictEqual(yield* ejections, 1)
    }))

  it.effect("ejects after five failures in a row, not after five with a success in between", () =>
    Effect.gen(function*() {
      let answer: ReturnType<TcpUpstream.Open<Connect.Connection>> = refused
      const { connect } = yield* upstream(1, () => answer)
      const times = (count: number) => Effect.repeat(Effect.exit(connect), { times: count - 1 })
      yield* times(4)
      answer = connected
      yield* times(1)
      answer = refused
      yield* times(4)
      assert.strictEqual(yield* ejections, 0)
      yield* times(1)
      assert.strictEqual(yield* ejections, 1)
    }).pipe(Effect.provide(TestConsole.layer)))

  it.effect("holds nothing against an instance whose caller has given up", () =>
    Effect.gen(function*() {
      const openings = yield* Queue.unbounded<void>()
      const { connect } = yield* upstream(1, () => Effect.andThen(Queue.offer(openings, undefined), Effect.never))
      for (let turn = 0; turn < 6; turn++) {
        const calling = yield* Effect.forkChild(connect)
        yield* Queue.take(openings)
        yield* Fiber.interrupt(calling)
      }
      assert.strictEqual(yield* ejections, 0)
    }).pipe(Effect.provide(TestConsole.layer)))

  it.effect("counts an attempt until it is interrupted, and a connection until it closes", () =>
    Effect.gen(function*() {
      const dialled: Array<string> = []
      const openings = yield* Queue.unbounded<void>()
      let answer: ReturnType<TcpUpstream.Open<Connect.Connection>> = connected
      const { layer, setRoute } = yield* Mesh.discovery({ api: [Mesh.endpoint(1), Mesh.endpoint(2)] })
      const balancing = { policy: LoadBalancer.leastRequest(64), hashBy: [] }
      yield* setRoute("api", { targets: [Mesh.target("api")], connectTimeoutMillis, balancing })
      const made = yield* Effect.provide(TcpUpstream.make(Resolver.service("api")), layer)
      const connect = made.connect((_, { id }) => {
        dialled.push(id)
        return answer
      })
      const { socket } = yield* connect
      answer = Effect.andThen(Queue.offer(openings, undefined), Effect.never)
      for (let turn = 0; turn < 3; turn++) {
        const calling = yield* Effect.forkChild(connect)
        yield* Queue.take(openings)
        yield* Fiber.interrupt(calling)
      }
      const [busy, ...others] = dialled
      const other = busy === "node/1" ? "node/2" : "node/1"
      assert.deepStrictEqual(others, [other, other, other])
      yield* Effect.callback<void>((resume) => {
        socket.once("close", () => resume(Effect.void))
        socket.destroy()
      })
      answer = connected
      yield* Effect.repeat(connect, { times: 1 })
      assert.sameMembers(dialled.slice(-2), ["node/1", "node/2"])
    }))

  it.effect("reaches at once what takes no waiting, and dials the same instance otherwise", () =>
    Effect.gen(function*() {
      const dialled: Array<string> = []
      const { layer, setRoute } = yield* Mesh.discovery({ api: [Mesh.endpoint(1), Mesh.endpoint(2)] })
      const balancing = { policy: LoadBalancer.leastRequest(64), hashBy: [] }
      yield* setRoute("api", { targets: [Mesh.target("api")], connectTimeoutMillis, balancing })
      const made = yield* Effect.provide(TcpUpstream.make(Resolver.service("api")), layer)
      const closed = ({ socket }: Connect.Connection) =>
        Effect.callback<void>((resume) => {
          socket.once("close", () => resume(Effect.void))
          socket.destroy()
        })
      yield* Effect.flatMap(made.connect(() => connected), closed) // the lists have arrived
      const run = Effect.runSyncWith(yield* Effect.context<never>())
      const reach = () =>
        made.reach((_, { id }) => {
          dialled.push(id)
          return connected
        }, (_, { id }) => id === "node/1" ? run(connected) : undefined)
      // A call that is never begun keeps nobody busy: the other one would have to take all that follow.
      for (let turn = 0; turn < 20; turn++) {
        const reached = reach()
        if (!Effect.isEffect(reached)) yield* closed(reached)
      }
      assert.deepStrictEqual(dialled, [])
      let waited = 0
      for (let turn = 0; turn < 6; turn++) {
        const reached = reach()
        if (Effect.isEffect(reached)) waited++
        if (Effect.isEffect(reached)) yield* reached
      }
      assert.strictEqual(waited, 3)
      assert.deepStrictEqual(dialled, ["node/2", "node/2", "node/2"])
    }))

  it.effect("goes to the next target after three instances of one have refused", () =>
    Effect.gen(function*() {
      const dialled: Array<string> = []
      const backup = { ...Mesh.target("api"), id: "backup" }
      const { layer, setInstances, setRoute } = yield* Mesh.discovery({
        api: [1, 2, 3, 4, 5].map((port) => Mesh.endpoint(port))
      })
      yield* setInstances(backup.id, [Mesh.endpoint(9)])
      yield* setRoute("api", { targets: [Mesh.target("api"), backup], connectTimeoutMillis })
      const { connect } = yield* Effect.provide(TcpUpstream.make(Resolver.service("api")), layer)
      yield* connect<Connect.Connection>((target) => {
        dialled.push(target.id)
        return target.id === "backup" ? connected : refused
      })
      assert.deepStrictEqual(dialled, [...Array.from({ length: 3 }, () => Mesh.target("api").id), "backup"])
    }))
})
