import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as CatalogStore from "../../src/agent/CatalogStore.ts"
import type * as CheckDefinition from "../../src/agent/CheckDefinition.ts"
import * as Checks from "../../src/agent/Checks.ts"
import * as Store from "../../src/agent/Store.ts"
import * as Health from "../../src/consul/Health.ts"

const ttl: CheckDefinition.CheckDefinition = {
  id: "ttl",
  name: "ttl",
  notes: "",
  status: "critical",
  serviceId: "web",
  type: "ttl",
  run: { _tag: "Ttl", ttl: Duration.minutes(10) },
  successesBeforePassing: 0,
  failuresBeforeWarning: 0,
  failuresBeforeCritical: 0,
  deregisterAfter: Duration.minutes(1),
  interval: "",
  timeout: ""
}

/** A TTL check that runs, and the services that it has expelled. */
const running = Effect.gen(function*() {
  const store = Store.make()
  const catalog = CatalogStore.make(store)
  const expelled: Array<string> = []
  const checks = yield* Checks.make({
    store,
    catalog,
    node: "node",
    expel: (id) => Effect.sync(() => void expelled.push(id))
  })
  catalog.change((transaction) => {
    transaction.putNode(Health.Node.make({ Node: "node" }))
    checks.put(transaction, ttl, { name: "web", tags: [] })
  })
  yield* checks.start(ttl)
  return { checks, expelled, status: () => catalog.node("node")?.checks.get("ttl")?.Status }
})

describe("Checks", () => {
  it.effect("expels a service that stays critical for longer than its check allows", () =>
    Effect.gen(function*() {
      const { expelled } = yield* running
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(expelled, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(expelled, ["web"])
    }))

  it.effect("lets a service stay that recovers in time", () =>
    Effect.gen(function*() {
      const { checks, expelled, status } = yield* running
      yield* TestClock.adjust("30 seconds")
      yield* checks.report("ttl", { status: "passing", output: "" })
      assert.strictEqual(status(), "passing")
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(expelled, [])
    }))

  it.effect("makes a TTL check critical that says nothing for too long", () =>
    Effect.gen(function*() {
      const { checks, status } = yield* running
      yield* checks.report("ttl", { status: "passing", output: "" })
      yield* TestClock.adjust("6 minutes")
      yield* checks.report("ttl", { status: "passing", output: "" })
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual(status(), "passing")
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual(status(), "critical")
    }))
})
