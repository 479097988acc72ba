import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as HttpRequest from "../../src/intention/HttpRequest.ts"
import * as Intention from "../../src/intention/Intention.ts"
import type * as TokenRequirement from "../../src/intention/TokenRequirement.ts"
import * as Analysis from "../../src/policy/space/Analysis.ts"
import * as Callers from "../../src/policy/Callers.ts"
import * as Mesh from "../../src/policy/Mesh.ts"
import * as Policy from "../../src/policy/Policy.ts"
import * as Space from "../../src/policy/space/Space.ts"
import * as Witnesses from "../../src/policy/space/Witnesses.ts"
import { defaultPolicy } from "../support/intentions.ts"
import * as Rules from "../support/rules.ts"

const runs = Number(process.env["POLICY_RUNS"] || 300)
const requestsPerRule = 60
const raw: Space.Settings = {
  normalization: { InsecureDisablePathNormalization: true },
  budget: Space.defaultBudget,
  lines: "several"
}

/** The diagram and the Authorizer on the same requests; answers how many were compared: none where the analysis gives up. */
const compare = (
  rule: Intention.Intention,
  defaultPolicy: "allow" | "deny",
  requests: ReadonlyArray<Rules.Request>
) => {
  const policy = Policy.make({ intentions: [rule], defaultPolicy, services: [{ service: "api", protocol: "http" }] })
  const mesh = Mesh.make({ ...policy, normalization: raw.normalization })
  const api = { service: "api", namespace: "default", partition: "default" }
  const web = Callers.classes([policy]).find((caller) => caller.label === "web")!
  const ruling = mesh.ruling(web, api)
  return Result.getOrElse(
    Analysis.analyse([ruling], [], raw, ({ diagram, space, witnesses }) => {
      const decisions = diagram(ruling)
      for (const [outcome, witness] of witnesses(decisions)) {
        Mesh.confirm(mesh.ask(web, api, witness), outcome, witness)
      }
      let compared = 0
      for (const { headers, method, path, tokens } of requests) {
        const request = HttpRequest.fromRaw(method, path, headers.flat())
        const claims = new Map(tokens)
        const atoms = Mesh.locate(space, request, (provider, values) => {
          const token = claims.get(provider)
          return token === undefined ? 0 : Rules.tokenAtom(values, token)
        })
        if (atoms === undefined) continue
        compared++
        if (space.dimensions.some(({ kind, name }) => kind === "header" && request.lines(name) !== undefined)) several++
        const verified: TokenRequirement.Tokens = (provider) => claims.get(provider)
        const decision = mesh.authorizer(api).request(web.id, request, verified)
        const expected = Mesh.lookUp(decisions, atoms)
        assert.deepStrictEqual(
          Analysis.outcome(decision.allowed, decision.because, decision.permission),
          expected,
          JSON.stringify({ method, path, headers, tokens })
        )
      }
      return compared
    }),
    () => 0
  )
}

/** How many of the compared requests had several lines of a header that the policy looks at. */
let several = 0

describe("Mesh", () => {
  let compared = 0
  it.prop(
    `decides as the Authorizer does, on ${runs} policies with ${requestsPerRule} requests each`,
    { rule: Rules.rules, defaultPolicy, seed: Rules.seeds },
    ({ defaultPolicy, rule, seed }) => {
      compared += compare(rule, defaultPolicy, Rules.requestsFor(rule, seed, requestsPerRule))
    },
    { arbitrary: { runs }, timeout: 3_600_000 }
  )

  it("compared most of what was generated", () => {
    assert.isAbove(compared, runs * requestsPerRule * 0.8)
    assert.isAbove(several, runs)
  })

  describe("with several lines of a header", () => {
    const api = { service: "api", namespace: "default", partition: "default" }
    const team = (matcher: Omit<Intention.HeaderMatcher, "Name">) => ({ Header: [{ Name: "x-team", ...matcher }] })
    const answer = (permissions: ReadonlyArray<Intention.Permission>) => {
      const policy = Policy.make({
        intentions: [Intention.make("web", "api", permissions)],
        defaultPolicy: "allow",
        services: [{ service: "api", protocol: "http" }]
      })
      const web = Callers.classes([policy]).find((caller) => caller.label === "web")!
      return Mesh.make(policy).answer(web, api)
    }
    const redAndBlue: Intention.Permission = {
      Action: "deny",
      HTTP: { Header: [...team({ Exact: "red" }).Header, ...team({ Exact: "blue" }).Header] }
    }

    it("finds what is denied with several lines only, and shows them", () => {
      const found = answer([redAndBlue])
      assert.strictEqual(found._tag === "Decided" && found.verdict, "some")
      const witnesses = found._tag === "Decided" ? [...found.outcomes.values()].map(Witnesses.describe) : []
      assert.deepStrictEqual(witnesses, ["GET /", "GET /, x-team: \"red\", x-team: \"blue\""])
      assert.deepStrictEqual(
        found._tag === "Decided" && [...found.outcomes.values()].map((each) => Witnesses.toJson(each).headers),
        [undefined, { "x-team": ["red", "blue"] }]
      )
    })

    const names = Array.from({ length: 18 }, (_, i) => `team-${i}`)

    it("does not say that all is allowed where lines are too many to be told apart", () => {
      const pairs = names.map((name): Intention.Permission => ({
        Action: "deny",
        HTTP: { Header: [...team({ Exact: name }).Header, ...team({ Exact: `${name}0` }).Header] }
      }))
      assert.deepStrictEqual(answer(pairs), {
        _tag: "Undecided",
        why: "several lines of the header x-team need more than 50000 states to be told apart"
      })
    })

    it("says that some is denied, without all ways to be so, where lines are too many", () => {
      const found = answer(names.map((name) => ({ Action: "deny", HTTP: team({ Exact: name }) })))
      assert.strictEqual(found._tag === "Decided" && found.verdict, "some")
    })
  })
})
