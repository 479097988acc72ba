import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as CaRoots from "../../src/watch/CaRoots.ts"
import * as DiscoveryChains from "../../src/watch/DiscoveryChains.ts"
import * as Intentions from "../../src/watch/Intentions.ts"
import * as scrape from "../support/scrape.ts"

const until = (fact: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => fact() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(fact)))

describe("a crowd of upstreams", () => {
  it.live("keeps neither policy nor requests waiting, and has its own turn in seconds", () =>
    Effect.gen(function*() {
      const running = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" })
      const context = yield* Layer.build(
        Layer.mergeAll(Intentions.layer({ destination: "api", protocol: "tcp" }), DiscoveryChains.layer).pipe(
          Layer.provide(CaRoots.layer),
          Layer.provideMerge(ConsulClient.layer({ address: running.address }))
        )
      )
      yield* Effect.gen(function*() {
        const consul = yield* ConsulClient.ConsulClient
        const chains = yield* DiscoveryChains.DiscoveryChains
        const intentions = yield* Intentions.Intentions
        const watches = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, i) => `upstream-${i}`),
          (service) => chains.watch({ service })
        )
        yield* until(() => watches.every((watched) => watched.latest() !== undefined))
        yield* intentions.get

        const write = (payload: { readonly Kind: string; readonly Name: string }) =>
          consul.call("PUT /v1/config", (api) => api.config.write({ query: {}, payload }), "6 seconds")
        // In a line with the crowd each would wait for up to eight seconds: a slow machine takes less, and not all of them would have luck.
        for (const Action of Array.from({ length: 10 }, (_, i) => i % 2 === 0 ? "allow" : "deny")) {
          yield* write({ Kind: "service-intentions", Name: "api", ...{ Sources: [{ Name: "web", Action }] } })
          yield* until(() => intentions.latest()?.intentions[0]?.Action === Action).pipe(
            Effect.timeoutOrElse({
              duration: "6 seconds",
              orElse: () => Effect.die(`the intention to ${Action} did not arrive`)
            })
          )
        }

        const redirected = Array.from({ length: 200 }, (_, i) => i).filter((i) => i % 20 === 19)
        for (const i of redirected) {
          yield* write({
            Kind: "service-resolver",
            Name: `upstream-${i}`,
            ...{ Redirect: { Service: "elsewhere" } }
          })
        }
        yield* until(() => redirected.every((i) => watches[i]!.latest()?.targets[0].service === "elsewhere"))
        assert.isAbove(redirected.length, 5)
        const waits = Object.entries(yield* scrape.samples).filter(([name, count]) =>
          name.startsWith("mesh_agent_wait_seconds_count") && count > 0
        )
        // First questions are asked one after the other, and then it is only the crowd that takes turns.
        assert.sameMembers(waits.map(([name]) => /purpose="(\w+)"/.exec(name)?.[1]), ["ask", "many"])
      }).pipe(Effect.provideContext(context))
    }).pipe(scrape.fresh), 60_000)
})
