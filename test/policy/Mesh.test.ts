import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as HttpRequest from "../../src/intention/HttpRequest.ts"
import * as Intention from "../../src/intention/Intention.ts"
import type * as TokenRequirement from "../../src/intention/TokenRequirement.ts"
import * as Analysis from "../../src/policy/Analysis.ts"
import * as Callers from "../../src/policy/Callers.ts"
import * as Mesh from "../../src/policy/Mesh.ts"
import * as Policy from "../../src/policy/Policy.ts"
import * as Space from "../../src/policy/Space.ts"
import { defaultPolicy } from "../support/intentions.ts"
import * as Rules from "../support/rules.ts"

const runs = Number(process.env["POLICY_RUNS"] || 300)
const requestsPerRule = 60
const raw: Space.Settings = {
  normalization: { InsecureDisablePathNormalization: true },
  budget: Space.defaultBudget
}

/** The diagram and the Authorizer on the same requests; answers how many were compared. */
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
  return Result.getOrThrowWith(
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
    (why) => new Error(why)
  )
}

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
  })
})
