import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as agent from "../support/consul.ts"

/** Whether callers are told of an instance of `service` that can be called. */
const isOffered = (service: string) =>
  Effect.flatMap(ConsulClient.ConsulClient, ({ call }) =>
    Effect.map(
      call("instances", (api) => api.health.connect({ params: { service }, query: { passing: true } })),
      ({ body }) => body.length === 1
    ))

const offered = (service: string, is: boolean) =>
  agent.eventually(Effect.filterOrFail(isOffered(service), (offered) => offered === is, () => `offered: ${!is}`))

layer(agent.layer, { timeout: 60_000, excludeTestServices: true })("a sidecar that leaves", (it) => {
  it.effect("is offered to callers no more, and again once it is back", () =>
    Effect.gen(function*() {
      const api = agent.fresh("api")
      const ports = yield* Effect.all([agent.freePort, agent.freePort])
      yield* agent.register({ name: api, port: ports[0], sidecar: { port: ports[1] } })
      const start = Effect.gen(function*() {
        const scope = yield* Scope.fork(yield* Effect.scope)
        const sidecar = ConsulSidecar.make({
          proxyId: `${api}-sidecar-proxy`,
          shutdownDelay: "100 millis",
          drain: "1 second"
        })
        yield* Scope.provide(sidecar, scope)
        return { stop: Scope.close(scope, Exit.void) }
      })
      const { stop } = yield* start
      yield* offered(api, true)
      yield* stop
      yield* offered(api, false)
      yield* start
      yield* offered(api, true)
    }))

  it.effect("leaves the maintenance mode that an operator has set", () =>
    Effect.gen(function*() {
      const api = agent.fresh("api")
      const ports = yield* Effect.all([agent.freePort, agent.freePort])
      yield* agent.register({ name: api, port: ports[0], sidecar: { port: ports[1] } })
      yield* agent.maintenance(`${api}-sidecar-proxy`, true)
      yield* Effect.scoped(
        ConsulSidecar.make({ proxyId: `${api}-sidecar-proxy`, shutdownDelay: "100 millis", drain: "1 second" })
      )
      assert.isFalse(yield* isOffered(api))
    }))
})
