import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as agent from "../support/consul.ts"
import * as GatewayProcess from "../support/gatewayProcess.ts"
import * as Gateways from "../support/gateways.ts"

/** Callers at a time, each of which calls again as soon as it has its answer. */
const callers = 8

describe("a mesh gateway that is killed under load", () => {
  it.live("costs the calls that went through it at that moment, and no more: others take the other one", () =>
    Effect.gen(function*() {
      const { dc1, dc2, sni } = yield* Gateways.two
      yield* dc2.service("api")
      const there = yield* Effect.forEach(["gateway-a", "gateway-b"], (id) =>
        Effect.gen(function*() {
          const port = yield* agent.freePort
          const running = yield* GatewayProcess.start({ address: dc2.address, id, port })
          return { ...running, port }
        }), { concurrency: 2 })
      const here = yield* dc1.gateway()
      const web = yield* dc1.identity("web")
      const name = sni("api", "dc2")
      yield* Gateways.eventually(Gateways.call(here.port, web, name))

      // Connections that stay: where one of them leads, the gateway here knows.
      const open = yield* Effect.forEach(
        Array.from({ length: 10 }),
        () => Gateways.connect(here.port, web, name),
        { concurrency: 5 }
      )
      const lost = new Set<Gateways.Call>()
      for (const call of open) call.socket.resume().once("close", () => lost.add(call))
      const victim = there[0]!
      const through = [...here.status().listeners[0]!.details.connections()].filter(({ to }) =>
        to === `127.0.0.1:${victim.port}`
      )
      assert.isAbove(through.length, 0)
      assert.isBelow(through.length, open.length)

      const counts = { answered: 0, failed: 0, afterwards: 0 }
      let isKilled = false
      let isOver = false
      const once = Effect.suspend(() => {
        const begunAfter = isKilled
        return Effect.matchEffect(Gateways.call(here.port, web, name), {
          onSuccess: () =>
            Effect.sync(() => {
              counts.answered++
              if (begunAfter) counts.afterwards++
            }),
          onFailure: () => Effect.sync(() => counts.failed++)
        })
      })
      const load = yield* Effect.forkChild(Effect.all(
        Array.from(
          { length: callers },
          () => Effect.whileLoop({ while: () => !isOver, body: () => once, step: () => {} })
        ),
        { concurrency: "unbounded" }
      ))
      yield* Gateways.eventually(Effect.sync(() => assert.isAbove(counts.answered, 100)))
      yield* victim.kill
      isKilled = true
      yield* Gateways.eventually(Effect.sync(() => assert.isAbove(counts.afterwards, 200)))
      isOver = true
      yield* Fiber.join(load)

      assert.isAtMost(counts.failed, callers)
      yield* Gateways.eventually(Effect.sync(() => assert.strictEqual(lost.size, through.length)))
      for (const call of open) {
        if (!lost.has(call)) assert.strictEqual(yield* Gateways.say(call, "still"), "STILL")
      }
      yield* Effect.logInfo(
        `${counts.answered} calls answered, ${counts.failed} lost with the gateway, ${lost.size} of ${open.length} open connections`
      )
    }))
})
