import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import * as Agents from "../support/agents.ts"
import * as Sockets from "../support/sockets.ts"
import * as UnderTraffic from "./underTraffic.ts"

describe("a leaf that expires as the agent is away for too long", () => {
  it.live("is said loudly, costs new connections until the agent is back, and then nothing", () => {
    const lines: Array<string> = []
    const collect = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.gen(function*() {
      const { failures } = yield* UnderTraffic.run(
        {
          protocol: "tcp",
          // Each call then has a handshake of its own, or one for forty.
          tunnels: false,
          agent: { leafTtl: "10 seconds" },
          what: "tcp without tunnels, the leaf has expired for five seconds"
        },
        ({ calls, mesh, traffic }) =>
          Effect.gen(function*() {
            mesh.front.become(Agents.faults["has gone"])
            const ends = [mesh.web, ...mesh.api].map(({ material }) => material().leaf.certificate.notAfter.getTime())
            // What is at hand has a connection already.
            yield* Sockets.eventually(() => Date.now() > Math.min(...ends) - 100)
            assert.deepStrictEqual(traffic.report().failures, [], "nothing is lost before")
            yield* Effect.sleep("5 seconds")
            assert.isAbove(traffic.report().failures.length, 0)
            mesh.front.become(undefined)
            yield* Sockets.eventually(() =>
              [mesh.web, ...mesh.api].every(({ material }) =>
                material().leaf.certificate.notAfter.getTime() > Date.now()
              )
            )
            yield* calls(100) // those that had begun
            const failed = traffic.report().failures.length
            yield* calls(500)
            assert.strictEqual(traffic.report().failures.length, failed)
          })
      )
      assert.isAbove(failures.length, 0)
      assert.isTrue(lines.some((line) => /the leaf certificate of (web|api) has expired/.test(line)), lines.join("\n"))
    }).pipe(Effect.provide(Logger.layer([collect])))
  })
})
