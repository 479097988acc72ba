/** Listeners that ask the agent about each connection. */
import { assert, describe, it } from "@effect/vitest"
import type { Socket } from "node:net"
import { Effect, Exit, Layer, Queue, Result, Schedule, Scope, SubscriptionRef } from "effect"
import { TestConsole } from "effect/testing"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Certificate from "../../src/identity/Certificate.ts"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Audit from "../../src/intention/Audit.ts"
import * as Authorization from "../../src/inbound/Authorization.ts"
import type * as MeshListener from "../../src/inbound/MeshListener.ts"
import * as AskedAgent from "../support/askedAgent.ts"
import * as Certificates from "../support/certificates.ts"
import * as Listeners from "../support/listeners.ts"
import { policy } from "../support/mesh.ts"
import { freePort } from "../support/ports.ts"
import * as Sockets from "../support/sockets.ts"
import * as TlsClients from "../support/tlsClients.ts"

/** The intentions that `Listeners` has allow `web` and nobody else: they must not matter. */
const listen = Effect.fnUntraced(function*(
  options: Partial<MeshListener.Options<never>> = {},
  authorization: Partial<Authorization.Options> = {}
) {
  const agent = yield* AskedAgent.make()
  const asking = yield* Layer.build(
    Authorization.layerAsked({ service: "api", ...authorization }).pipe(
      Layer.provide(ConsulClient.layer({ address: agent.address }))
    )
  )
  const running = yield* Listeners.listen(options).pipe(Effect.provideContext(asking))
  const dial = (name: string) =>
    Effect.gen(function*() {
      const issued = yield* running.issue(name)
      const { reset, socket } = yield* TlsClients.connect(running.listener.port, issued)
      return { issued, socket, reset, record: Sockets.record(socket) }
    })
  return { ...running, agent, dial, refused: () => running.listener.stats().refused }
})

const served = ({ record, socket }: { readonly record: Sockets.Recorder; readonly socket: Socket }) => {
  socket.write("hello")
  return record.until("HELLO")
}

describe("a listener that asks", () => {
  it.live("says who connects to whom, and with which certificate", () =>
    Effect.gen(function*() {
      const { agent, dial } = yield* listen()
      agent.answer(AskedAgent.allow)
      const batch = yield* dial("batch")
      yield* served(batch)
      assert.deepStrictEqual(agent.questions, [{
        Target: "api",
        ClientCertURI: SpiffeId.format(Certificates.service("batch")),
        ClientCertSerial: Result.getOrThrow(Certificate.parse(batch.issued.certPem, "a leaf")).serial
      }])
      assert.match(agent.questions[0]!.ClientCertSerial, /^[0-9a-f]{2}(:[0-9a-f]{2}){15}$/)
      assert.deepStrictEqual(agent.requests, ["POST /v1/agent/connect/authorize"])
    }))

  it.live("hands nothing to the handler before the answer, and loses nothing that came meanwhile", () =>
    Effect.gen(function*() {
      const { agent, dial, handled, listener } = yield* listen()
      const { record, socket } = yield* dial("web")
      socket.write("early")
      yield* Sockets.eventually(() => agent.held().length === 1)
      assert.deepStrictEqual([handled, listener.stats().open, listener.stats().handshaking], [[], 0, 1])
      agent.answer(AskedAgent.allow)
      yield* record.until("EARLY")
      assert.deepStrictEqual([handled, listener.stats().open, listener.stats().handshaking], [["web"], 1, 0])
    }))

  it.live("does not mind intentions", () =>
    Effect.gen(function*() {
      const { agent, api, dial, listener } = yield* listen()
      agent.answer(AskedAgent.allow)
      const client = yield* dial("web")
      yield* served(client)
      yield* SubscriptionRef.set(api.intentions, policy("api", { web: "deny" }))
      yield* served(yield* dial("web"))
      yield* served(client)
      assert.deepInclude(listener.stats(), { open: 2, cut: 0 })
    }))

  it.live("refuses whom the agent does not authorize, with its reason", () =>
    Effect.gen(function*() {
      const { agent, dial, handled, listener, refused } = yield* listen()
      agent.answer(AskedAgent.deny)
      assert.strictEqual(yield* (yield* dial("web")).record.ending, "ECONNRESET")
      assert.deepStrictEqual([refused(), handled], [{ denied: 1 }, []])
      assert.deepStrictEqual(listener.denials(), [
        { source: "web", destination: "api", rule: "agent: not today", refusals: 1, audited: 0 }
      ])
      assert.include(JSON.stringify(yield* TestConsole.logLines), "web → api: denied by the agent: not today")
    }).pipe(Effect.provide(TestConsole.layer)))

  for (
    const [what, answer] of [
      ["fails", AskedAgent.fail(500, "No cluster leader")],
      ["does not allow the question", AskedAgent.fail(403, "Permission denied")],
      ["limits questions", AskedAgent.fail(429, "Too many requests")],
      ["makes no sense", AskedAgent.fail(200, "<html>")]
    ] as const
  ) {
    it.live(`lets nobody in while the agent ${what}`, () =>
      Effect.gen(function*() {
        const { agent, dial, handled, refused } = yield* listen()
        agent.answer(answer)
        assert.strictEqual(yield* (yield* dial("web")).record.ending, "ECONNRESET")
        assert.deepStrictEqual([refused(), handled], [{ authorization_unavailable: 1 }, []])
        agent.answer(AskedAgent.allow)
        yield* served(yield* dial("web"))
      }))
  }

  it.live("lets nobody in while the agent is away, says what to do, and goes on when it is back", () =>
    Effect.gen(function*() {
      const gone = yield* Scope.make()
      const agent = yield* Scope.provide(AskedAgent.make(yield* freePort), gone)
      const asking = yield* Layer.build(
        Authorization.layerAsked({ service: "api" }).pipe(Layer.provide(ConsulClient.layer({ address: agent.address })))
      )
      const { issue, listener } = yield* Listeners.listen().pipe(Effect.provideContext(asking))
      const dial = Effect.gen(function*() {
        const { socket } = yield* TlsClients.connect(listener.port, yield* issue("web"))
        return { socket, record: Sockets.record(socket) }
      })
      agent.answer(AskedAgent.allow)
      const before = yield* dial
      yield* Sockets.eventually(() => listener.stats().open === 1)
      yield* Scope.close(gone, Exit.void)
      assert.strictEqual(yield* (yield* dial).record.ending, "ECONNRESET")
      assert.deepStrictEqual(listener.stats().refused, { authorization_unavailable: 1 })
      const lines = JSON.stringify(yield* TestConsole.logLines)
      assert.include(lines, "nobody is let in until it can")
      assert.include(lines, "Check that it runs and that CONSUL_HTTP_ADDR names it")
      const back = yield* AskedAgent.make(agent.port)
      back.answer(AskedAgent.allow)
      yield* served(before)
      yield* served(yield* dial)
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("gives up when the time for a handshake is over", () =>
    Effect.gen(function*() {
      const { agent, dial, handled, refused } = yield* listen({ handshakeTimeout: "1 second" })
      assert.strictEqual(yield* (yield* dial("web")).record.ending, "ECONNRESET")
      assert.deepStrictEqual([refused(), handled], [{ authorization_unavailable: 1 }, []])
      assert.strictEqual(agent.questions.length, 1)
      yield* Sockets.eventually(() => agent.held().length === 0)
    }))

  it.live("does not wait for the answer about a caller that has left", () =>
    Effect.gen(function*() {
      const { agent, dial, listener, refused } = yield* listen()
      const gone = yield* Effect.forEach(Array.from({ length: 8 }), () => dial("web"), { concurrency: 8 })
      yield* Sockets.eventually(() => agent.held().length === 8)
      gone.forEach(({ reset }) => reset())
      yield* Sockets.eventually(() => refused().disconnected === 8 && agent.held().length === 0)
      agent.answer(AskedAgent.allow)
      yield* served(yield* dial("web"))
      assert.strictEqual(listener.stats().open, 1)
    }))

  it.live("asks again on its schedule, once for each certificate, and cuts what is refused by then", () =>
    Effect.gen(function*() {
      const ticks = yield* Queue.unbounded<void>()
      const { agent, dial, issue, listener } = yield* listen({ reauthorize: onTick(ticks) })
      agent.answer(AskedAgent.allow)
      const shared = yield* issue("web")
      const twice = yield* Effect.forEach(
        [1, 2],
        () => Effect.map(TlsClients.connect(listener.port, shared), ({ socket }) => Sockets.record(socket))
      )
      const batch = yield* dial("batch")
      yield* Sockets.eventually(() => listener.stats().open === 3)
      agent.answer((question) =>
        question.asked.ClientCertURI.endsWith("web") ? AskedAgent.deny(question) : AskedAgent.allow(question)
      )
      yield* Queue.offer(ticks, undefined)
      for (const { ending } of twice) assert.strictEqual(yield* ending, "ECONNRESET")
      yield* Sockets.eventually(() => agent.questions.length === 5)
      yield* served(batch)
      assert.deepInclude(listener.stats(), { open: 1, cut: 2, refused: {} })
      assert.include(
        JSON.stringify(yield* TestConsole.logLines),
        "cut 2 open connections of web (denied by the agent: not today): judged again on schedule"
      )
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("leaves open connections alone while the agent is silent", () =>
    Effect.gen(function*() {
      const ticks = yield* Queue.unbounded<void>()
      const { agent, dial, listener } = yield* listen({ reauthorize: onTick(ticks) })
      agent.answer(AskedAgent.allow)
      const clients = yield* Effect.forEach(["a", "b", "c", "d", "e"], dial)
      yield* Effect.forEach(clients, served)
      agent.answer(AskedAgent.fail(500, "No cluster leader"))
      yield* Queue.offer(ticks, undefined)
      const said = (line: string) => Effect.map(TestConsole.logLines, (lines) => JSON.stringify(lines).includes(line))
      while (!(yield* said("open connections stay as they are"))) yield* Effect.sleep("5 millis")
      // The round ends with the first failure: at most two were asked.
      assert.isAtMost(agent.questions.length, 5 + 2)
      yield* Effect.forEach(clients, served)
      assert.deepInclude(listener.stats(), { open: 5, cut: 0 })
      assert.strictEqual(yield* (yield* dial("web")).record.ending, "ECONNRESET")
      // And once it answers again, rounds go on.
      agent.answer(AskedAgent.deny)
      yield* Queue.offer(ticks, undefined)
      for (const { record } of clients) assert.strictEqual(yield* record.ending, "ECONNRESET")
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("is no model for a service inside it that watches intentions", () =>
    Effect.gen(function*() {
      const inner = Effect.provide(Authorization.Authorization, Authorization.layerCached)
      const outer = Authorization.layerAsked({ service: "api" }).pipe(Layer.provide(ConsulClient.layer()))
      const both = yield* Effect.all([Authorization.Authorization, inner]).pipe(Effect.provide(outer))
      assert.deepStrictEqual(both.map((asked) => asked !== undefined), [true, false])
    }))

  it.live("records in audit mode whom it would refuse, and lets them in, also while the agent is away", () =>
    Effect.gen(function*() {
      const { agent, dial, listener } = yield* listen({}, { audit: Audit.everywhere })
      agent.answer(AskedAgent.deny)
      yield* served(yield* dial("web"))
      agent.answer(AskedAgent.fail(500, "No cluster leader"))
      yield* served(yield* dial("web"))
      assert.deepInclude(listener.stats(), { open: 2, refused: {} })
      assert.deepStrictEqual(listener.denials().map(({ audited }) => audited), [1, 1])
    }))
})

/** A schedule that goes on with each tick. */
const onTick = (ticks: Queue.Queue<void>) => Schedule.spaced("1 millis").pipe(Schedule.tap(() => Queue.take(ticks)))
