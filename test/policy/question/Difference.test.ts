import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as Intention from "../../../src/intention/Intention.ts"
import * as Callers from "../../../src/policy/Callers.ts"
import * as Difference from "../../../src/policy/question/Difference.ts"
import * as Mesh from "../../../src/policy/Mesh.ts"
import * as Policy from "../../../src/policy/Policy.ts"
import * as Arbitraries from "../../../src/testing/Arbitraries.ts"
import { defaultPolicy } from "../../support/intentions.ts"

const { make } = Intention
const http = { services: [{ service: "api", protocol: "http" }, { service: "web" }] }
const policy = (intentions: ReadonlyArray<Intention.Intention>, defaultPolicy: "allow" | "deny" = "deny") =>
  Policy.make({ ...http, intentions, defaultPolicy })
const allow = (HTTP: Intention.HttpPermission): Intention.Permission => ({ Action: "allow", HTTP })

/** Anything of this kind, over names and paths that two policies share. */
const seedPolicy = policy([
  make("web", "api", [
    allow({ PathPrefix: "/v1", Methods: ["GET"] }),
    { Action: "deny", HTTP: { PathRegex: "/v[12]/(a|b)+", Header: [{ Name: "x-a", Exact: "b", Invert: true }] } }
  ])
])
const set = Arbitrary.map(
  Arbitrary.array(Arbitraries.intentions(seedPolicy), { maxLength: 6 }),
  (list) => [...new Map(list.map((each) => [`${each.SourceName}>${each.DestinationName}`, each])).values()]
)

describe("Difference", () => {
  it.prop(
    "finds every change that a random search finds",
    {
      before: set,
      after: set,
      defaultPolicy,
      calls: Arbitrary.array(
        Arbitrary.all({
          from: Arbitrary.schema(Schema.Int),
          to: Arbitrary.schema(Schema.Int),
          request: Arbitraries.requests(seedPolicy)
        }),
        { minLength: 40, maxLength: 40 }
      )
    },
    ({ after, before, calls, defaultPolicy }) => {
      const both = [policy(before, defaultPolicy), policy(after, defaultPolicy)] as const
      const { changes, undecided } = Difference.make(...both)
      assert.deepStrictEqual(undecided, [])
      const [old, fresh] = [
        Mesh.make(both[0], { beside: both }),
        Mesh.make(both[1], { beside: both })
      ]
      const callers = Callers.classes(both)
      const destinations = Policy.destinations(both)
      for (const { from, request, to } of calls) {
        const caller = callers[Math.abs(from) % callers.length]!
        const destination = destinations[Math.abs(to) % destinations.length]!
        const [was, is] = [old, fresh].map((mesh) => mesh.ask(caller, destination, request).allowed)
        if (was === is) continue
        const newly = is === true ? "allowed" : "denied"
        assert.isTrue(
          changes.some((change) =>
            change.newly === newly && change.callers.includes(caller.label) &&
            change.destinations.includes(destination.label)
          ),
          `missed: ${caller.label} → ${destination.label} ${JSON.stringify(request)} is newly ${newly}`
        )
      }
    },
    { arbitrary: { runs: Number(process.env["POLICY_RUNS"] || 100) }, timeout: 3_600_000 }
  )

  it("shows a smallest request for each class of changes", () => {
    const { changes } = Difference.make(
      policy([make("web", "api", [allow({ PathPrefix: "/v1", Methods: ["GET"] })])]),
      policy([make("web", "api", [allow({ PathPrefix: "/v1/" })])])
    )
    assert.deepStrictEqual(
      changes.map(({ callers, newly, witness }) => ({
        newly,
        callers,
        request: `${witness?.method} ${witness?.path}`
      })),
      [
        { newly: "allowed", callers: ["web"], request: "POST /v1/" },
        { newly: "denied", callers: ["web"], request: "GET /v1" }
      ]
    )
  })

  it("finds nothing where only the wording changed", () => {
    const { changes } = Difference.make(
      policy([make("web", "api", [allow({ PathPrefix: "/a" }), allow({ PathPrefix: "/b" })])]),
      policy([make("web", "api", [allow({ PathRegex: "/b.*|/a.*" })]), make("db", "api", "deny")])
    )
    assert.deepStrictEqual(changes, [])
    assert.strictEqual(
      Difference.format({ changes, undecided: [] }),
      "Nothing is newly allowed, and nothing newly denied."
    )
  })

  it("sees a new default policy everywhere at once", () => {
    const { changes } = Difference.make(policy([], "deny"), policy([], "allow"))
    assert.strictEqual(changes.length, 1)
    assert.deepStrictEqual(changes[0]!.callers, ["api", "web", "any other service"])
    assert.deepStrictEqual(changes[0]!.destinations, ["api", "web", "any other service"])
    assert.isUndefined(changes[0]!.witness)
  })

  it("says what it could not decide, and why", () => {
    const rule = (expression: string) => make("web", "api", [allow({ PathRegex: expression })])
    const { undecided } = Difference.make(policy([rule("(a|b)*a(a|b){14}")]), policy([rule("/")]))
    assert.deepStrictEqual(undecided.map(({ callers, destinations }) => [callers, destinations]), [[["web"], ["api"]]])
    assert.include(undecided[0]!.why, "needs an automaton of more than 5000 states")
  })

  it("compares under both defaults where nobody says which one holds, and under the one that either side says", () => {
    const assumed = (intentions: ReadonlyArray<Intention.Intention>) =>
      Policy.make({ ...http, intentions, defaultPolicy: "deny", basis: { defaultPolicy: "assumed", missing: [] } })
    const denies = [make("web", "api", "deny")]
    const changes = (before: Policy.Policy, after: Policy.Policy) =>
      Difference.make(before, after).changes.map(({ callers, newly, underDefault }) =>
        `${newly} ${callers.join()} ${underDefault ?? "both"}`
      )
    assert.deepStrictEqual(changes(assumed(denies), assumed([])), ["allowed web allow"])
    assert.deepStrictEqual(changes(assumed([]), assumed([make("web", "api", "allow")])), ["allowed web deny"])
    assert.deepStrictEqual(changes(assumed(denies), assumed([make("web", "api", "allow")])), ["allowed web both"])
    assert.deepStrictEqual(changes(policy(denies, "allow"), assumed([])), ["allowed web both"])
    assert.deepStrictEqual(changes(assumed(denies), policy([], "deny")), [])
    // Two that are said are a change like any other.
    assert.include(changes(policy([], "deny"), policy([], "allow")).join(), "allowed")
  })
})
