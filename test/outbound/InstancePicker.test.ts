import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as LoadBalancer from "../../src/balance/LoadBalancer.ts"
import type * as Destination from "../../src/outbound/Destination.ts"
import * as InstancePicker from "../../src/outbound/InstancePicker.ts"
import type * as TcpRoute from "../../src/route/TcpRoute.ts"
import type * as Endpoints from "../../src/watch/Endpoints.ts"
import * as Watched from "../../src/watch/Watched.ts"
import * as Mesh from "../support/mesh.ts"

/** Numbers that look random and are the same each time. */
const sequence = (seed = 42) => () => {
  seed = (seed * 1_664_525 + 1_013_904_223) % 4_294_967_296
  return seed / 4_294_967_296
}

const policies = {
  "round robin": LoadBalancer.roundRobin,
  random: LoadBalancer.random,
  "least request": LoadBalancer.leastRequest(),
  "ring hash": LoadBalancer.ringHash(),
  maglev: LoadBalancer.maglev
} as const

const near = Mesh.target("api")
const far = Mesh.target("api", "dc2")

/** A target and its list; undefined: the list has not arrived. */
type Listed = readonly [TcpRoute.Target, ReadonlyArray<Endpoints.Endpoint> | undefined]

const destination = (first: Listed, ...more: ReadonlyArray<Listed>): Destination.Destination => ({
  route: { targets: [first[0], ...more.map(([target]) => target)], connectTimeoutMillis: 1000 },
  targets: [first, ...more].map(([target, list]) => ({
    target,
    instances: { ...Watched.constant("the instances", list ?? []), latest: () => list }
  }))
})

const ofWeights = (...weights: ReadonlyArray<number>): Destination.Destination =>
  destination([near, weights.map((weight, i) => Mesh.endpoint(i + 1, weight))])

/** A pool that notes which addresses it opened and retired. */
const make = (options: Partial<InstancePicker.Options<string>> = {}) => {
  const opened: Array<string> = []
  const retired: Array<string> = []
  const pool = InstancePicker.make<string>({
    open: (target, { id }) => {
      const name = `${target.datacenter} ${id}`
      opened.push(name)
      return name
    },
    retire: (name) => retired.push(name),
    ...options
  })
  const random = sequence()
  const pick = (to: Destination.Destination, call: Partial<InstancePicker.Call> = {}) =>
    pool.pick(to, { now: 0, random, tried: new Set(), ...call })
  return { ...pool, pick, opened, retired }
}

const Weight = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 128 }))
const Described = Schema.Array(Schema.Struct({ weight: Weight, tried: Schema.Boolean, ejected: Schema.Boolean }))
const Policy = Schema.Literals(["round robin", "random", "least request", "ring hash", "maglev"])

describe("InstancePicker", () => {
  it.prop(
    "picks what was not tried and is not ejected, then what was not tried, then any; of those in the first target",
    { policy: Policy, lists: Schema.Tuple([Described, Described]) },
    ({ lists, policy }) => {
      const described = lists.map((list, i) =>
        list.map((each, j) => ({ ...each, endpoint: Mesh.endpoint(1 + i * 1000 + j, each.weight) }))
      )
      const [first, second] = described.map((list) => list.map(({ endpoint }) => endpoint))
      const to = destination([near, first], [far, second])
      const all = described.flat()
      const { pick } = make({
        balancer: policies[policy],
        outliers: { maxFailures: 1, maxEjectionPercent: 100 }
      })
      const others = (id: string) => new Set(all.map(({ endpoint }) => endpoint.id).filter((other) => other !== id))
      for (const { ejected, endpoint } of all) {
        const instance = ejected && endpoint.weight > 0 ? pick(to, { tried: others(endpoint.id) }) : undefined
        if (instance !== undefined) assert.isTrue(instance.report(false, 0, 0))
      }

      const ranks = described.map((list) =>
        list.filter(({ weight }) => weight > 0)
          .map(({ ejected, endpoint, tried }) => ({ id: endpoint.id, rank: tried ? 2 : ejected ? 1 : 0 }))
      )
      const best = Math.min(...ranks.flat().map(({ rank }) => rank))
      const expected = ranks.map((list) => list.filter(({ rank }) => rank === best).map(({ id }) => id))
      const allowed = expected.find((ids) => ids.length > 0)
      const tried = new Set(all.filter((each) => each.tried).map(({ endpoint }) => endpoint.id))
      for (let turn = 0; turn < 5; turn++) {
        const picked = pick(to, { tried })
        if (allowed === undefined) assert.isUndefined(picked)
        else assert.include(allowed, picked?.id)
      }
    }
  )

  it.prop(
    "tries every healthy instance once and no other",
    { policy: Policy, weights: Schema.Array(Weight) },
    ({ policy, weights }) => {
      const { hasUntried, pick } = make({ balancer: policies[policy] })
      const to = ofWeights(...weights)
      const tried = new Set<string>()
      for (let turn = 0; turn < weights.length && hasUntried(to, tried); turn++) tried.add(pick(to, { tried })!.id)
      assert.isFalse(hasUntried(to, tried))
      assert.sameMembers([...tried], weights.flatMap((weight, i) => weight > 0 ? [`node/${i + 1}`] : []))
    }
  )

  it("picks each instance as often as its weight says", () => {
    const { pick } = make()
    const to = ofWeights(1, 3, 0, 6)
    const picked = Array.from({ length: 1000 }, () => pick(to)!.id)
    const times = [1, 2, 3, 4].map((i) => picked.filter((id) => id === `node/${i}`).length)
    assert.deepStrictEqual(times, [100, 300, 0, 600])
  })

  it("follows a weight that changes", () => {
    const { pick } = make()
    for (let turn = 0; turn < 10; turn++) pick(ofWeights(1, 1))
    const to = ofWeights(1, 3)
    const picked = Array.from({ length: 400 }, () => pick(to)!.id)
    assert.strictEqual(picked.filter((id) => id === "node/2").length, 300)
  })

  it("prefers instances with fewer active calls, by the policy of the route", () => {
    const { pick } = make()
    const to = ofWeights(1, 1, 1)
    const balanced = { ...to, route: { ...to.route, balancing: { policy: LoadBalancer.leastRequest(50), hashBy: [] } } }
    const calls = Array.from({ length: 30 }, () => pick(balanced)!)
    assert.deepStrictEqual(calls.slice(-3).map(({ active }) => active), [10, 10, 10])
    const freed = calls.filter(({ id }) => id === "node/2")
    for (const call of freed) call.end()
    assert.deepStrictEqual(Array.from({ length: 10 }, () => pick(balanced)!.id), freed.map(({ id }) => id))
  })

  it("sends equal calls to one instance, by the hash that they bring", () => {
    const { pick } = make({ balancer: LoadBalancer.maglev })
    const to = ofWeights(1, 1, 1, 1, 1)
    for (const hash of [1, 2_000_000, 4_000_000_000]) {
      assert.strictEqual(new Set(Array.from({ length: 20 }, () => pick(to, { hash })!.id)).size, 1)
    }
  })

  it("leaves out an instance that failed five times in a row, until its time is over", () => {
    const { pick } = make()
    const to = ofWeights(1, 1)
    const failing = pick(to)!
    const reports = Array.from({ length: 5 }, () => failing.report(false, 0, 0))
    assert.deepStrictEqual(reports, [false, false, false, false, true])
    const picked = (now: number) => new Set(Array.from({ length: 10 }, () => pick(to, { now })!.id))
    assert.isFalse(picked(29_000).has(failing.id))
    assert.isTrue(picked(30_000).has(failing.id))
  })

  it("leaves a target for the next one while all of its instances are ejected", () => {
    const { pick } = make()
    const to = destination([near, [Mesh.endpoint(1)]], [far, [Mesh.endpoint(2)]])
    for (let i = 0; i < 5; i++) pick(to)!.report(false, 0, 0)
    assert.strictEqual(pick(to, { now: 1 })!.target, far)
    assert.strictEqual(pick(to, { now: 30_000 })!.target, near)
  })

  it("passes over a target whose list has not arrived", () => {
    const { pick } = make()
    assert.strictEqual(pick(destination([near, undefined], [far, [Mesh.endpoint(2)]]))!.target, far)
  })

  it.prop(
    "counts calls until they end, also on instances that have left, and opens as many instances as are healthy",
    {
      steps: Schema.Array(Schema.Union([
        Schema.TaggedStruct("pick", {}),
        Schema.TaggedStruct("end", { which: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })) }),
        Schema.TaggedStruct("list", { weights: Schema.Array(Schema.Literals([0, 1, 2])) })
      ]))
    },
    ({ steps }) => {
      const { active, opened, pick, retired } = make()
      const calls: Array<InstancePicker.Instance> = []
      let to = ofWeights(1, 1)
      for (const step of steps) {
        if (step._tag === "list") to = ofWeights(...step.weights)
        else if (step._tag === "pick") {
          const picked = pick(to)
          if (picked !== undefined) calls.push(picked)
        } else calls.splice(step.which, 1)[0]?.end()
        assert.strictEqual(active(), calls.length)
      }
      for (const call of calls) call.end()
      assert.strictEqual(active(), 0)
      pick(to)
      const healthy = to.targets[0]!.instances.latest()!.filter(({ weight }) => weight > 0)
      assert.strictEqual(opened.length - retired.length, healthy.length)
    }
  )

  it("retires an instance that leaves, and lets its last call end", () => {
    const { active, pick, retired } = make()
    const call = pick(ofWeights(1))!
    assert.strictEqual(pick(destination([near, [Mesh.endpoint(2)]]))!.id, "node/2")
    assert.deepStrictEqual(retired, ["dc1 node/1"])
    assert.strictEqual(active(), 2)
    call.end()
    assert.strictEqual(active(), 1)
  })

  it("retires the instances of a target that leaves the route", () => {
    const { pick, retired } = make()
    pick(destination([near, [Mesh.endpoint(1)]], [far, [Mesh.endpoint(2)]]))
    pick(destination([near, []], [far, [Mesh.endpoint(2)]]))
    assert.deepStrictEqual(retired, ["dc1 node/1"])
    pick(destination([near, [Mesh.endpoint(1)]]))
    assert.deepStrictEqual(retired, ["dc1 node/1", "dc2 node/2"])
  })

  it.each<readonly [string, Partial<Endpoints.Endpoint>]>([
    ["address", { address: { host: "127.0.0.1", port: 7 } }],
    ["identity", { expected: [{ service: "billing" }] }]
  ])("opens an instance again that has another %s, and keeps one that has another weight", (_, change) => {
    const { opened, pick, retired } = make()
    const endpoint = Mesh.endpoint(1)
    pick(destination([near, [endpoint]]))
    pick(destination([near, [{ ...endpoint, weight: 5 }]]))
    assert.deepStrictEqual([opened.length, retired.length], [1, 0])
    pick(destination([near, [{ ...endpoint, ...change }]]))
    assert.deepStrictEqual([opened.length, retired.length], [2, 1])
  })

  it("opens an instance again whose target has another SNI, though its list stays", () => {
    const { opened, pick, retired } = make()
    const list = [Mesh.endpoint(1)]
    pick(destination([near, list]))
    const renamed = { ...near, sni: "api.example.com" }
    assert.strictEqual(pick(destination([renamed, list]))!.target.sni, "api.example.com")
    pick(destination([renamed, list]))
    assert.deepStrictEqual([opened.length, retired.length], [2, 1])
  })

  it("keeps the past of its instances while the route changes, unless they are balanced in another way", () => {
    const { opened, pick, retired } = make()
    const list = [Mesh.endpoint(1), Mesh.endpoint(2)]
    const before = destination([near, list])
    const failing = pick(before)!
    for (let i = 0; i < 5; i++) failing.report(false, 0, 0)
    const after = destination([near, list], [far, []])
    for (let i = 0; i < 10; i++) assert.notStrictEqual(pick(after)!.id, failing.id)
    assert.deepStrictEqual([opened.length, retired.length], [2, 0])
    pick({ ...after, route: { ...after.route, balancing: { policy: LoadBalancer.random, hashBy: [] } } })
    assert.deepStrictEqual([opened.length, retired.length], [4, 2])
  })

  it("leaves a peer out as a whole, where its only gateway fails", () => {
    const peered = { ...far, peer: "east" }
    const list = [Mesh.endpoint(1)]
    const picked = (target: TcpRoute.Target) => {
      const { pick } = make({ ejection: "strict" })
      const to = destination([target, list], [near, [Mesh.endpoint(2)]])
      for (let failure = 0; failure < 5; failure++) pick(to)!.report(false, 0, 0)
      return pick(to)!.target
    }
    assert.strictEqual(picked(peered), near)
    assert.strictEqual(picked(far), far)
  })
})
