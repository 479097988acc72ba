import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Arbitrary } from "effect"
import * as LoadBalancer from "../../src/balance/LoadBalancer.ts"
import * as StringHash from "../../src/balance/StringHash.ts"

const Host = Schema.Struct({
  id: Schema.Literals(["a", "b", "c", "d", "e", "f", "g"]),
  weight: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 }))
})

/** One to seven hosts, each once. */
const hosts = Arbitrary.schema(Schema.NonEmptyArray(Host)).pipe(
  Arbitrary.map((list) => [...new Map(list.map((host) => [host.id, host])).values()])
)
const hash = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffffffff })))
const policy = Arbitrary.schema(Schema.Literals(["roundRobin", "random", "leastRequest", "ringHash", "maglev"])).pipe(
  Arbitrary.map((name) =>
    ({
      roundRobin: LoadBalancer.roundRobin,
      random: LoadBalancer.random,
      leastRequest: LoadBalancer.leastRequest(),
      ringHash: LoadBalancer.ringHash(16, 64),
      maglev: { _tag: "maglev", size: 251 } as const
    })[name]
  )
)

const balancer = (policy: LoadBalancer.Policy, hosts: ReadonlyArray<LoadBalancer.Host>) => {
  const self = LoadBalancer.make(policy)
  self.update(hosts)
  return self
}

/** The same numbers each time. */
const sequence = () => {
  let i = 0
  return () => StringHash.hash(String(i++)) / 2 ** 32
}

const shares = (
  self: LoadBalancer.LoadBalancer<LoadBalancer.Host>,
  picks: number,
  pick: (i: number) => Partial<LoadBalancer.Pick> = () => ({})
) => {
  const random = sequence()
  const counts: Record<string, number> = {}
  for (let i = 0; i < picks; i++) {
    const id = self.pick({ random, ...pick(i) })?.id ?? "none"
    counts[id] = (counts[id] ?? 0) + 1
  }
  return counts
}

const weightsOf = (hosts: ReadonlyArray<LoadBalancer.Host>) =>
  Object.fromEntries(hosts.map(({ id, weight }) => [id, weight]))

const total = (hosts: ReadonlyArray<LoadBalancer.Host>) => hosts.reduce((sum, { weight }) => sum + weight, 0)

describe("LoadBalancer", () => {
  it.prop(
    "never picks a host that is left out, and finds one while there is one",
    { hosts, hash, policy },
    ({ hash, hosts, policy }) => {
      const self = balancer(policy, hosts)
      const out = new Set<string>(hosts.filter((_, i) => i % 2 === 0).map(({ id }) => id))
      for (let i = 0; i < 20; i++) {
        const picked = self.pick({ random: sequence(), hash, without: (id) => out.has(id) })
        assert.strictEqual(picked === undefined, out.size === hosts.length)
        assert.isFalse(picked !== undefined && out.has(picked.id))
      }
    }
  )

  it.each(["round-robin", "random", "least-request"] as const)("has nobody to pick without hosts (%s)", (_tag) => {
    const policy = _tag === "least-request" ? LoadBalancer.leastRequest() : { _tag }
    assert.isUndefined(balancer(policy, []).pick({ random: () => 0.5 }))
  })

  describe("round robin", () => {
    it.prop("gives each host its weight in every round", { hosts }, ({ hosts }) => {
      const self = balancer(LoadBalancer.roundRobin, hosts)
      for (let round = 0; round < 3; round++) assert.deepStrictEqual(shares(self, total(hosts)), weightsOf(hosts))
    })

    it("spreads the turns of a heavy host", () => {
      const self = balancer(LoadBalancer.roundRobin, [{ id: "a", weight: 5 }, { id: "b", weight: 1 }, {
        id: "c",
        weight: 1
      }])
      const order = Array.from({ length: 7 }, () => self.pick({ random: () => 0 })!.id)
      assert.strictEqual(order.join(""), "aabcaaa")
    })

    it.prop("gives those that are not left out their weight in every round", { hosts }, ({ hosts }) => {
      const [out, ...rest] = hosts
      const self = balancer(LoadBalancer.roundRobin, hosts)
      const round = () => shares(self, total(rest), () => ({ without: (id) => id === out!.id }))
      if (rest.length > 0) { for (let i = 0; i < 3; i++) assert.deepStrictEqual(round(), weightsOf(rest)) }
    })

    it("saves nothing up for a host that was left out", () => {
      const self = balancer(LoadBalancer.roundRobin, [{ id: "a", weight: 1 }, { id: "b", weight: 1 }])
      for (let i = 0; i < 10; i++) self.pick({ random: () => 0, without: (id) => id === "a" })
      const counts = shares(self, 10)
      assert.isAtMost(Math.abs(counts["a"]! - counts["b"]!), 2)
    })

    it("goes on with its round when a host joins", () => {
      const self = balancer(LoadBalancer.roundRobin, [{ id: "a", weight: 1 }, { id: "b", weight: 1 }])
      self.pick({ random: () => 0 })
      self.update([{ id: "a", weight: 1 }, { id: "b", weight: 1 }, { id: "c", weight: 1 }])
      assert.strictEqual(self.pick({ random: () => 0 })!.id, "b")
    })
  })

  it("random takes no account of weights", () => {
    const counts = shares(balancer(LoadBalancer.random, [{ id: "a", weight: 9 }, { id: "b", weight: 1 }]), 2000)
    assert.isBelow(Math.abs(counts["a"]! - counts["b"]!), 200)
  })

  describe("least request", () => {
    it.prop("prefers the idle one of two", { hosts }, ({ hosts }) => {
      const two = [{ id: "x", weight: hosts[0]!.weight }, { id: "y", weight: hosts[0]!.weight }]
      const counts = shares(
        balancer(LoadBalancer.leastRequest(8), two),
        200,
        () => ({ active: (id) => id === "x" ? 3 : 0 })
      )
      assert.isAbove(counts["y"]!, 190)
    })

    it.prop("is a round robin by weight while all are idle, where weights differ", { hosts }, ({ hosts }) => {
      const uneven = [...hosts, { id: "heavy", weight: 10 }]
      assert.deepStrictEqual(shares(balancer(LoadBalancer.leastRequest(), uneven), total(uneven)), weightsOf(uneven))
    })

    it("turns from a heavy host that is busy", () => {
      const self = balancer(LoadBalancer.leastRequest(), [{ id: "a", weight: 3 }, { id: "b", weight: 1 }])
      const counts = shares(self, 400, () => ({ active: (id) => id === "a" ? 8 : 0 }))
      assert.deepStrictEqual(counts, { a: 100, b: 300 })
    })
  })

  describe.each([["ring hash", LoadBalancer.ringHash()], ["maglev", LoadBalancer.maglev]] as const)(
    "%s",
    (_, policy) => {
      const four = [1, 1, 2, 4].map((weight, i) => ({ id: `10.0.0.${i}:8080`, weight }))

      it("always finds the same host for a hash, in whatever order hosts are listed", () => {
        const one = balancer(policy, four)
        const other = balancer(policy, four.toReversed())
        for (let i = 0; i < 500; i++) {
          const hash = StringHash.hash(`user ${i}`)
          const picked = one.pick({ random: Math.random, hash })!.id
          assert.strictEqual(other.pick({ random: Math.random, hash })!.id, picked)
        }
      })

      it("shares hashes by weight", () => {
        const counts = shares(balancer(policy, four), 8000, (i) => ({ hash: StringHash.hash(`user ${i}`) }))
        for (const { id, weight } of four) assert.isBelow(Math.abs(counts[id]! / 1000 - weight), 0.35 * weight)
      })

      it("moves few keys when another host leaves", () => {
        const before = balancer(policy, four)
        const after = balancer(policy, four.slice(1))
        let moved = 0
        for (let i = 0; i < 2000; i++) {
          const hash = StringHash.hash(`user ${i}`)
          const was = before.pick({ random: Math.random, hash })!.id
          if (was !== four[0]!.id && after.pick({ random: Math.random, hash })!.id !== was) moved++
        }
        assert.isBelow(moved, 2000 * 0.15)
      })
    }
  )

  it.prop("ring hash moves only the keys of the host that leaves", { hosts, hash }, ({ hash, hosts }) => {
    const even = hosts.map(({ id }) => ({ id, weight: 1 }))
    const ring = LoadBalancer.ringHash(1, 64) // one point each, however many there are
    const was = balancer(ring, even).pick({ random: Math.random, hash })!.id
    for (const leaving of even) {
      if (leaving.id === was) continue
      const rest = even.filter(({ id }) => id !== leaving.id)
      assert.strictEqual(balancer(ring, rest).pick({ random: Math.random, hash })!.id, was)
    }
  })
})
