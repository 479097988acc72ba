import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import * as Callers from "../../src/policy/Callers.ts"
import * as Mesh from "../../src/policy/Mesh.ts"
import * as Arbitraries from "../../src/testing/Arbitraries.ts"
import * as Policy from "../../src/testing/Policy.ts"
import * as Samples from "../../src/testing/Samples.ts"

const policy = Policy.fromEntries([
  { Kind: "service-defaults", Name: "payments", Protocol: "http" },
  {
    Kind: "service-intentions",
    Name: "payments",
    Sources: [
      {
        Name: "checkout",
        Permissions: [
          {
            Action: "deny",
            HTTP: { PathPrefix: "/admin", Header: [{ Name: "x-role", Exact: "admin", Invert: true }] }
          },
          { Action: "allow", HTTP: { PathPrefix: "/v1", Methods: ["GET", "POST"] } },
          { Action: "deny", HTTP: { PathRegex: "/v2/(a|b[0-9]+)/secret" } },
          { Action: "allow", HTTP: { PathPrefix: "/v2/", Header: [{ Name: "x-team", Prefix: "red" }] } }
        ]
      },
      { Name: "*", Action: "deny" }
    ]
  }
], { services: ["web"], defaultPolicy: "deny" })

const falsify = ([arbitraries, test]: Policy.Law) =>
  Arbitrary.checkEffect(Arbitrary.all(arbitraries), (input) =>
    Effect.sync(() => test(input)).pipe(
      Effect.as(true),
      Effect.catchDefect(() => Effect.succeed(false))
    ), { runs: 500, seed: 1 })

describe("Policy", () => {
  it.prop(
    "only checkout reaches payments",
    ...Policy.never(policy, { from: "*", except: ["checkout"], to: "payments" })
  )
  it.prop("only checkout, said otherwise", ...Policy.only(policy, { from: "checkout", to: "payments" }))
  it.prop(
    "checkout reads /v1",
    ...Policy.always(policy, {
      from: "checkout",
      to: "payments",
      when: ({ method, path }) => method === "GET" && path.startsWith("/v1")
    })
  )
  it.effect.prop(
    "nobody deletes",
    ...Policy.effect(
      Policy.never(policy, {
        to: "payments",
        when: ({ method, path }) => method === "DELETE" && !path.startsWith("/v2/")
      })
    )
  )

  it.effect("shrinks to the smallest name and the shortest path", () =>
    Effect.gen(function*() {
      const result = yield* falsify(Policy.never(policy, { to: "payments" }))
      assert(result._tag === "Falsified")
      assert.deepStrictEqual(result.shrunkInput.call, {
        from: "checkout",
        to: "payments",
        request: { method: "GET", path: "/v1", headers: [], tokens: [] }
      })
    }))

  it.effect("reaches every rule within a thousand samples", () =>
    Effect.gen(function*() {
      const mesh = Mesh.make(policy)
      const calls = yield* Arbitrary.sampleEffect(Arbitraries.calls(policy), { count: 1000, seed: 7 })
      const reached = new Set<string>()
      for (const call of calls) {
        const caller = Callers.classes([policy]).find((each) => each.label === call.from)!
        const { by, because, permission } = mesh.ask(
          caller,
          { service: call.to, namespace: "default", partition: "default" },
          call.request
        )
        reached.add(`${by?.source} ${because} ${permission}`)
      }
      for (const permission of [0, 1, 2, 3]) assert.include([...reached], `checkout permission ${permission}`)
      assert.include([...reached], "checkout no-permission undefined")
      assert.include([...reached], "* intention undefined")
      assert.include([...reached], "undefined no-intention undefined")
    }))

  it("refuses a law about nobody", () => {
    assert.throws(() => Policy.never(policy, { from: "chekout", to: "payments" }), /no caller is named chekout/)
    assert.throws(() => Policy.never(policy, { to: "paymetns" }), /no destination is named paymetns/)
    assert.throws(() => Policy.never(policy, { from: "web", except: "web", to: "payments" }), /no caller at all/)
  })

  it("refuses entries that Consul would refuse", () => {
    assert.throws(() => Policy.fromEntries([{ Kind: "service-intentions", Name: "x", Sources: [] }]), /no sources/)
  })

  it("refuses to guess which default policy holds", () => {
    const entries = [{ Kind: "service-intentions", Name: "x", Sources: [{ Name: "web", Action: "allow" }] }]
    assert.throws(() => Policy.fromEntries(entries), /which default policy holds/)
    assert.strictEqual(Policy.fromEntries(entries, { defaultPolicy: "allow" }).defaultPolicy, "allow")
  })
})

describe("Samples", () => {
  it("takes words through every part of an expression", () => {
    assert.includeMembers([...Samples.words("/v2/(a|b[0-9]+)/secret")], [
      "/v2/a/secret",
      "/v2/b0/secret",
      "/v2/b00/secret"
    ])
  })
})

describe("Arbitraries", () => {
  it.prop(
    "makes intentions that Consul would store",
    { intention: Arbitraries.intentions(policy) },
    ({ intention }) => {
      const { Action, DestinationName, Permissions, SourceName } = intention
      assert.doesNotThrow(() =>
        Policy.fromEntries([{
          Kind: "service-intentions",
          Name: DestinationName,
          Sources: [{ Name: SourceName, ...(Action === undefined ? { Permissions } : { Action }) }]
        }], { defaultPolicy: "deny" })
      )
    }
  )
})
