import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as IntentionChange from "../../src/admin/IntentionChange.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"

const make = Effect.gen(function*() {
  const { address } = yield* DevelopmentAgent.make({ port: 0 })
  const consul = Context.get(yield* Layer.build(ConsulClient.layer({ address })), ConsulClient.ConsulClient)
  const said = (name: string) =>
    consul.call("read", (api) => api.config.read({ params: { kind: "service-intentions", name }, query: {} })).pipe(
      Effect.map(({ body }) =>
        (body["Sources"] as ReadonlyArray<Readonly<Record<string, unknown>>>)
          .map(({ Action, Name, Permissions }) => `${Name} ${Permissions === undefined ? Action : "permissions"}`)
          .sort()
      ),
      Effect.catchReason("ConsulError", "NotFound", () => Effect.succeed("none"))
    )
  return { consul, said, change: (change: IntentionChange.Change) => IntentionChange.apply(consul, change) }
})

const pair = { source: "web", destination: "api" }

describe("IntentionChange", () => {
  it.live("makes an intention, turns it round and takes it back", () =>
    Effect.gen(function*() {
      const { change, said } = yield* make
      yield* change({ ...pair, action: "deny" })
      assert.deepStrictEqual(yield* said("api"), ["web deny"])
      yield* change({ ...pair, action: "allow" })
      assert.deepStrictEqual(yield* said("api"), ["web allow"])
      yield* change({ ...pair, action: "remove" })
      assert.strictEqual(yield* said("api"), "none")
      yield* change({ ...pair, action: "remove" })
      assert.strictEqual(yield* said("api"), "none")
    }))

  it.live("leaves other sources and the rest of the entry alone", () =>
    Effect.gen(function*() {
      const { change, consul, said } = yield* make
      const http = { Kind: "service-defaults", Name: "api", Protocol: "http" }
      yield* consul.call("write", (api) => api.config.write({ query: {}, payload: http }))
      yield* consul.call("write", (api) =>
        api.config.write({
          query: {},
          payload: {
            Kind: "service-intentions",
            Name: "api",
            Meta: { team: "shop" },
            Sources: [
              { Name: "web", Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/" } }] },
              { Name: "cron", Action: "allow", Description: "every night" }
            ]
          }
        }))
      yield* change({ ...pair, action: "deny" })
      assert.deepStrictEqual(yield* said("api"), ["cron allow", "web deny"])
      yield* change({ ...pair, action: "remove" })
      const { body } = yield* consul.call(
        "read",
        (api) => api.config.read({ params: { kind: "service-intentions", name: "api" }, query: {} })
      )
      assert.deepInclude(body, { Meta: { team: "shop" } })
      assert.deepInclude((body["Sources"] as ReadonlyArray<object>)[0], { Name: "cron", Description: "every night" })
    }))

  it.live("loses no change of several that come at the same time", () =>
    Effect.gen(function*() {
      const { change, said } = yield* make
      yield* Effect.forEach(
        ["web", "cron", "mobile"],
        (source) => change({ source, destination: "api", action: "allow" }),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(yield* said("api"), ["cron allow", "mobile allow", "web allow"])
    }))
})
