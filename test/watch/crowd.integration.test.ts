import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as CaRoots from "../../src/watch/CaRoots.ts"
import * as DiscoveryChains from "../../src/watch/DiscoveryChains.ts"
import * as Intentions from "../../src/watch/Intentions.ts"

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
          consul.call("PUT /v1/config", (api) => api.config.write({ query: {}, payload }), "2 seconds")
        for (const Action of ["allow", "deny", "allow"]) {
          yield* write({ Kind: "service-intentions", Name: "api", ...{ Sources: [{ Name: "web", Action }] } })
          yield* until(() => intentions.latest()?.intentions[0]?.Action === Action).pipe(
            Effect.timeoutOrElse({
              duration: "3 seconds",
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
      }).pipe(Effect.provideContext(context))
    }), 60_000)
})
