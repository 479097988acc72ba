import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Option, Ref, Scope } from "effect"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as ServiceRegistration from "../../src/native/register/ServiceRegistration.ts"
import * as agent from "../support/consul.ts"

/** The instances of a service that speak mesh TLS, each with the worst status of its own checks. */
const instances = (service: string) =>
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    const { body } = yield* consul.call("health", (api) => api.health.connect({ params: { service }, query: {} }))
    return body.map(({ Checks, Service }) =>
      `${Service.ID}:${Service.Port} ${Checks.filter((check) => check.ServiceID !== "").map((check) => check.Status)}`
    )
  })

const eventually = (service: string, expected: ReadonlyArray<string>) =>
  agent.eventually(
    Effect.flatMap(instances(service), (seen) =>
      JSON.stringify(seen) === JSON.stringify(expected) ? Effect.void : Effect.fail(`instances: ${seen.join("; ")}`))
  )

layer(agent.layer, { timeout: 60_000, excludeTestServices: true })("a registered native service", (it) => {
  it.effect("is in the catalog while its scope is open, and in maintenance before it leaves", () =>
    Effect.gen(function*() {
      const name = agent.fresh("web")
      const scope = yield* Scope.make()
      yield* ServiceRegistration.make({ name, id: `${name}-1`, port: 9001, drain: "500 millis" }).pipe(
        Scope.provide(scope)
      )
      yield* eventually(name, [`${name}-1:9001 passing`])
      yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* agent.eventually(
        Effect.flatMap(
          instances(name),
          (seen) => seen[0]?.includes("critical") === true ? Effect.void : Effect.fail(seen)
        )
      )
      yield* eventually(name, [])
    }))

  it.effect("stays alive by its heartbeat, longer than its TTL", () =>
    Effect.gen(function*() {
      const name = agent.fresh("web")
      yield* ServiceRegistration.make({ name, port: 9001, ttl: "600 millis", drain: 0 })
      yield* eventually(name, [`${name}:9001 passing`])
      yield* Effect.sleep("1500 millis")
      assert.deepStrictEqual(yield* instances(name), [`${name}:9001 passing`])
    }))

  it.effect("comes back when the agent has forgotten it", () =>
    Effect.gen(function*() {
      const name = agent.fresh("web")
      const consul = yield* ConsulClient.ConsulClient
      yield* ServiceRegistration.make({ name, port: 9001, ttl: "600 millis", drain: 0 })
      yield* eventually(name, [`${name}:9001 passing`])
      yield* consul.call("deregister", (api) => api.agent.deregisterService({ params: { id: name }, query: {} }))
      yield* eventually(name, [])
      yield* eventually(name, [`${name}:9001 passing`])
    }))

  it.effect.each(
    [
      ["tells the agent how it is", { ttl: "900 millis" }],
      ["answers the agent that asks how it is", { http: { interval: "1 second" } }]
    ] satisfies ReadonlyArray<readonly [string, Partial<ServiceRegistration.Options>]>
  )("%s", ([, check]) =>
    Effect.gen(function*() {
      const name = agent.fresh("web")
      const broken = yield* Ref.make(Option.some("the database is away"))
      const healthy = Effect.flatMap(Ref.get(broken), Option.match({ onNone: () => Effect.void, onSome: Effect.fail }))
      const scope = yield* Scope.make()
      yield* Scope.provide(ServiceRegistration.make({ name, port: 9001, drain: 0, healthy, ...check }), scope)
      yield* eventually(name, [`${name}:9001 critical`])
      const consul = yield* ConsulClient.ConsulClient
      yield* agent.eventually(
        Effect.gen(function*() {
          const { body } = yield* consul.call("checks", (api) => api.agent.checks({ query: {} }))
          const output = body[`service:${name}`]?.Output ?? ""
          if (!output.includes("the database is away")) return yield* Effect.fail(output)
        })
      )
      yield* Ref.set(broken, Option.none())
      yield* eventually(name, [`${name}:9001 passing`])
      yield* Ref.set(broken, Option.some("again"))
      yield* eventually(name, [`${name}:9001 critical`])
      yield* Scope.close(scope, Exit.void)
      yield* eventually(name, [])
    }))

  it.effect("takes a check that hangs for a failure", () =>
    Effect.gen(function*() {
      const name = agent.fresh("web")
      yield* ServiceRegistration.make({ name, port: 9001, ttl: "600 millis", drain: 0, healthy: Effect.never })
      yield* eventually(name, [`${name}:9001 critical`])
    }))
})
