import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as Agents from "../support/agents.ts"
import * as Sockets from "../support/sockets.ts"
import * as UnderTraffic from "./underTraffic.ts"

const protocols = ["http", "tcp"] as const

/** What an agent may answer for a while. */
const answers: ReadonlyArray<readonly [what: string, fault: Agents.Fault]> = [
  ["has no leader (500)", Agents.faults["has no leader"]],
  ["does not know the token (403)", Agents.faults["does not know the token"]],
  ["denies everything (403)", Agents.faults.denies],
  ["limits rates (429)", Agents.refusing(429, "Your IP is issuing too many concurrent connections, please rate limit")],
  ["does not answer", Agents.faults["does not answer"]]
]

describe("an agent", () => {
  it.live.each(protocols)("that is killed for a minute costs no call (%s)", (protocol) =>
    Effect.gen(function*() {
      const { failures } = yield* UnderTraffic.run(
        { protocol, what: `${protocol}, agent killed for a minute` },
        ({ mesh }) =>
          Effect.gen(function*() {
            mesh.front.become(Agents.faults["has gone"])
            yield* Effect.sleep("1 minute")
            mesh.front.become(undefined)
          })
      )
      assert.deepStrictEqual(failures, [])
    }))

  it.live.each(answers)("that %s for ten seconds costs no call", ([what, fault]) =>
    Effect.gen(function*() {
      const { failures } = yield* UnderTraffic.run({ what: `http, agent ${what}` }, ({ mesh }) =>
        Effect.gen(function*() {
          mesh.front.become(fault)
          yield* Effect.sleep("10 seconds")
          mesh.front.become(undefined)
        }))
      assert.deepStrictEqual(failures, [])
    }))

  it.live("that takes three seconds for each answer costs no call, and is followed", () =>
    Effect.gen(function*() {
      const { failures } = yield* UnderTraffic.run({ what: "http, slow agent" }, ({ calls, mesh }) =>
        Effect.gen(function*() {
          mesh.front.slow(3000)
          yield* mesh.agent.rotateRoots
          yield* Sockets.eventually(() =>
            mesh.web.material().roots.roots.length === 2
          )
          yield* calls(500)
        }))
      assert.deepStrictEqual(failures, [])
    }))

  it.live("that starts again with a lower index costs no call, and is followed", () =>
    Effect.gen(function*() {
      const { failures } = yield* UnderTraffic.run({ what: "http, agent with a lower index" }, ({ calls, mesh }) =>
        Effect.gen(function*() {
          mesh.front.lower(5)
          yield* calls(500)
          yield* mesh.agent.rotateRoots
          yield* Sockets.eventually(() =>
            mesh.web.material().roots.roots.length === 2
          )
          yield* calls(500)
        }))
      assert.deepStrictEqual(failures, [])
    }))

  it.live("that starts again empty, with other authorities, costs calls only until it has been told everything again", () =>
    Effect.gen(function*() {
      const report = yield* UnderTraffic.run(
        { what: "http, agent empty for two seconds" },
        ({ calls, mesh, traffic }) =>
          Effect.gen(function*() {
            const other = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" })
            mesh.front.replace(other.port)
            yield* Effect.sleep("2 seconds")
            yield* mesh.register
            yield* Sockets.eventually(() =>
              [mesh.web, ...mesh.api].every((each) => each.material().roots.trustDomain === other.trustDomain)
            )
            // Until it goes through again, and then it does.
            const settled = () => {
              const { failures, sent } = traffic.report()
              return sent - failures.length
            }
            const before = settled()
            yield* Sockets.eventually(() => settled() > before + 200)
            const failed = traffic.report().failures.length
            yield* calls(500)
            assert.strictEqual(traffic.report().failures.length, failed)
          })
      )
      for (const failure of report.failures) assert.match(failure, /: (503|403) |reset|hang up/)
    }))
})
