import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Metric, Redacted, References, Scope } from "effect"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Settings from "../../src/consul/Settings.ts"
import * as DiscoveryChains from "../../src/watch/DiscoveryChains.ts"
import { badAgent, refusing } from "../support/agents.ts"
import * as scrape from "../support/scrape.ts"

/** An agent that holds every request, so that a request is a watch. */
const holding = Effect.gen(function*() {
  const agent = yield* badAgent(() => {})
  const consul = yield* ConsulClient.make({ ...Settings.defaults, address: agent.address, token: Redacted.make("x") })
  const client = Layer.succeed(ConsulClient.ConsulClient, consul)
  const watch = (service: string) =>
    Effect.flatMap(DiscoveryChains.DiscoveryChains, (chains) => chains.watch({ service })).pipe(
      Effect.provide(Layer.fresh(Layer.provide(DiscoveryChains.layer, client)))
    )
  return { agent, watch }
})

const until = (fact: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => fact() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(fact)))

describe("a watch", () => {
  it.live("is shared by all who ask one client for the same thing, and ends with the last of them", () =>
    Effect.gen(function*() {
      const { agent, watch } = yield* holding
      const [first, second] = [yield* Scope.make(), yield* Scope.make()]
      const a = yield* Scope.provide(watch("api"), first)
      const b = yield* Scope.provide(watch("api"), second)
      yield* Scope.provide(watch("billing"), second)
      yield* until(() => agent.requests.length === 2)
      assert.strictEqual(a, b)
      yield* Scope.close(first, Exit.void)
      assert.strictEqual(agent.open(), 2)
      yield* Scope.close(second, Exit.void)
      yield* until(() => agent.open() === 0)
      assert.deepStrictEqual(agent.requests.toSorted(), [
        "POST /v1/discovery-chain/api",
        "POST /v1/discovery-chain/billing"
      ])
    }))

  it.live("is nobody's own, where several share it: neither its metrics nor its lines name the first who asked", () => {
    const lines: Array<Readonly<Record<string, unknown>>> = []
    const log = Logger.layer([
      Logger.make<unknown, void>(({ fiber }) => {
        lines.push(fiber.getRef(References.CurrentLogAnnotations))
      })
    ])
    return Effect.gen(function*() {
      const agent = yield* badAgent((_, response) => refusing(500, "no leader")(response))
      const consul = yield* ConsulClient.make({ ...Settings.defaults, address: agent.address })
      yield* Effect.flatMap(DiscoveryChains.DiscoveryChains, (chains) => chains.watch({ service: "api" })).pipe(
        Effect.provide(Layer.fresh(DiscoveryChains.layer)),
        Effect.provideService(ConsulClient.ConsulClient, consul),
        Effect.provideService(Metric.CurrentMetricAttributes, { service: "web" }),
        Effect.annotateLogs({ service: "web" })
      )
      yield* until(() => lines.length > 0)
      assert.deepStrictEqual(lines, [{ watch: "chain", subject: "api" }])
      const failures = Object.keys(yield* scrape.samples).filter((name) => name.startsWith("mesh_watch_failures_total"))
      assert.deepStrictEqual(failures, ["mesh_watch_failures_total{watch=\"chain\",subject=\"api\"}"])
    }).pipe(scrape.fresh, Effect.provide(log))
  })
})
