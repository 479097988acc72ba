import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schedule, Scope } from "effect"
import { request } from "node:https"
import * as AgentSockets from "../../src/consul/AgentSockets.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Settings from "../../src/consul/Settings.ts"
import { badAgent } from "../support/agents.ts"
import { server } from "../support/sockets.ts"

const leader = (consul: ConsulClient.ConsulClient["Service"]) =>
  consul.call("GET /v1/status/leader", (api) => api.status.leader({ query: {} }))

/** Accepts, and says nothing. */
const silent = server((socket) => socket.on("end", () => socket.end()).resume())

const until = (condition: () => boolean) =>
  Effect.sync(condition).pipe(Effect.repeat({ until: (met) => met, schedule: Schedule.spaced("5 millis") }))

describe("AgentSockets", () => {
  it.live("gives up a connection whose handshake does not end", () =>
    Effect.gen(function*() {
      const { port } = yield* silent
      const { https } = yield* AgentSockets.make({ connections: 1 }, 20)
      const error = yield* Effect.callback<Error>((resume) => {
        request({ agent: https, host: "127.0.0.1", port }).on("error", (error) => resume(Effect.succeed(error))).end()
      })
      assert.strictEqual(error.message, "no connection within 0.02 seconds")
    }))

  it.live("closes a connection that is being made, after its request was given up", () =>
    Effect.gen(function*() {
      const { port, sockets } = yield* silent
      const scope = yield* Scope.make()
      const settings = { ...Settings.defaults, address: `https://127.0.0.1:${port}` }
      const consul = yield* Scope.provide(ConsulClient.make(settings), scope)
      const fiber = yield* Effect.forkChild(leader(consul))
      yield* until(() => sockets.length === 1)
      yield* Fiber.interrupt(fiber)
      yield* Scope.close(scope, Exit.void)
      yield* until(() => sockets[0]!.destroyed)
    }))

  it.live("uses a connection again, whether or not somebody reads what the agent answers", () =>
    Effect.gen(function*() {
      const agent = yield* badAgent((_, response) => response.end())
      const consul = yield* ConsulClient.make({ ...Settings.defaults, address: agent.address })
      for (let i = 0; i < 20; i++) {
        yield* consul.call("maintenance", (api) => api.agent.nodeMaintenance({ query: { enable: true } }))
      }
      assert.strictEqual(agent.requests.length, 20)
      assert.strictEqual(agent.peak(), 1)
    }))
})
