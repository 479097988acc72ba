import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as Intention from "../../../src/intention/Intention.ts"
import * as Assertion from "../../../src/policy/question/Assertion.ts"
import * as Callers from "../../../src/policy/Callers.ts"
import * as Mesh from "../../../src/policy/Mesh.ts"
import * as Policy from "../../../src/policy/Policy.ts"
import * as Report from "../../../src/policy/report/Report.ts"
import * as Witnesses from "../../../src/policy/space/Witnesses.ts"
import { defaultPolicy } from "../../support/intentions.ts"
import * as Rules from "../../support/rules.ts"

const { make } = Intention
const decode = Schema.decodeUnknownSync(Assertion.Assertion, { onExcessProperty: "error" })

const policy = Policy.make({
  defaultPolicy: "deny",
  services: [{ service: "payments", protocol: "http" }, { service: "ledger", protocol: "http" }, "web", "admin"],
  intentions: [
    make("checkout", "payments", [
      { Action: "deny", HTTP: { PathPrefix: "/admin" } },
      { Action: "allow", HTTP: { PathPrefix: "/v1", Methods: ["GET", "POST"] } },
      { Action: "allow", HTTP: { PathPrefix: "/t" }, JWT: { Providers: [{ Name: "okta" }] } }
    ]),
    make("checkout", "ledger", [{ Action: "allow", HTTP: { PathPrefix: "/v1", Methods: ["GET"] } }]),
    make("*", "payments", "deny"),
    make("web", "*", "allow"),
    make("web", "api", "allow", { SourcePeer: "east" })
  ]
})
const mesh = Mesh.make(policy)
const verify = (assertion: unknown) => {
  const { verdict } = Assertion.verify(mesh, decode(assertion))
  return verdict._tag === "Proved" ? "proved" : `${verdict._tag.toLowerCase()}: ${verdict.why}`
}

const setting = { base: "/", version: "0", remarks: [], complete: true }

describe("Assertion", () => {
  describe("with several lines of a header", () => {
    const role = (matcher: Omit<Intention.HeaderMatcher, "Name">) => ({ Header: [{ Name: "x-role", ...matcher }] })
    const about = (...permissions: ReadonlyArray<Intention.Permission>) => (assertion: unknown) =>
      Assertion.verify(
        Mesh.make(Policy.make({
          defaultPolicy: "deny",
          services: [{ service: "api", protocol: "http" }, { service: "open", protocol: "http" }],
          intentions: [
            make("web", "api", permissions),
            make("web", "open", [{ Action: "allow", HTTP: role({ Present: true }) }])
          ]
        })),
        decode(assertion)
      ).verdict
    const witness = (verdict: Assertion.Verdict) =>
      verdict._tag === "Refuted" ? Witnesses.describe(verdict.counterexample.request) : verdict._tag

    it("refutes `always` where the lines one by one are refused", () => {
      const verdict = about(
        { Action: "deny", HTTP: role({ Exact: "guest" }) },
        { Action: "allow", HTTP: { PathPrefix: "/" } }
      )({ always: { from: "web", to: "api", when: role({ Contains: "," }) } })
      assert.strictEqual(witness(verdict), "GET /, x-role: \",\", x-role: \"guest\"")
      assert.match(verdict._tag === "Refuted" ? verdict.why : "", /by the lines of a header/)
    })

    it("asks of `always` only what both readings say of the request", () => {
      const verify = about({ Action: "allow", HTTP: role({ Exact: "admin" }) })
      assert.strictEqual(verify({ always: { from: "web", to: "api", when: role({ Exact: "admin" }) } })._tag, "Proved")
    })

    it("takes a request for meant by `never` where either reading says so", () => {
      // An admin line beside one of another kind is no admin for the denial, and is one for the statement.
      const verify = about(
        {
          Action: "deny",
          HTTP: { Header: [{ Name: "x-role", Exact: "admin" }, { Name: "x-role", Prefix: "u", Invert: true }] }
        },
        { Action: "allow", HTTP: { PathPrefix: "/" } }
      )
      const verdict = verify({ never: { from: "web", to: "api", when: role({ Exact: "admin" }) } })
      assert.match(witness(verdict), /^GET \/, x-role: "(admin|u)", x-role: "(admin|u)"$/)
    })

    it("refutes `implies` where the second refuses the lines one by one", () => {
      const verify = about(
        { Action: "deny", HTTP: { Header: [{ Name: "x-role", Exact: "a" }, { Name: "x-role", Exact: "b" }] } },
        { Action: "allow", HTTP: { PathPrefix: "/" } }
      )
      assert.match(witness(verify({ implies: { from: "web", if: "open", then: "api" } })), /x-role: "a", x-role: "b"/)
    })
  })

  it("proves and refutes", () => {
    const refutation =
      "checkout → payments with GET /v1: allowed by permission 2 of intention checkout → payments (precedence 9)"
    assert.strictEqual(verify({ never: { except: "checkout", to: "payments" } }), "proved")
    assert.strictEqual(verify({ never: { to: "payments" } }), `refuted: ${refutation}`)
    assert.strictEqual(verify({ only: { from: "checkout", to: "payments" } }), "proved")
    assert.strictEqual(verify({ only: { from: "web", to: "payments" } }), `refuted: ${refutation}`)
    assert.strictEqual(
      verify({ always: { from: "checkout", to: "payments", when: { PathRegex: "/v1/[a-z]+", Methods: ["GET"] } } }),
      "proved"
    )
    assert.strictEqual(
      verify({ always: { from: "checkout", to: "payments", when: { PathRegex: "/v1/[a-z]+" } } }),
      "refuted: checkout → payments with PUT /v1/a: denied by the default policy: no permission of intention " +
        "checkout → payments (precedence 9) is about this request"
    )
    assert.strictEqual(
      verify({ always: { from: "checkout", to: "payments", when: { PathPrefix: "/t" } } }),
      "refuted: checkout → payments with GET /t: denied by the default policy: permission 3 of intention " +
        "checkout → payments (precedence 9) requires a token of okta"
    )
    assert.strictEqual(
      verify({
        always: {
          from: "checkout",
          to: "payments",
          when: { PathPrefix: "/t" },
          tokens: { Providers: [{ Name: "okta" }] }
        }
      }),
      "proved"
    )
    assert.strictEqual(verify({ implies: { from: "checkout", if: "ledger", then: "payments" } }), "proved")
    assert.match(
      verify({ implies: { from: "checkout", if: "payments", then: "ledger" } }),
      /^refuted: checkout → payments with POST \/v1: allowed by .*; at ledger denied by/
    )
    assert.match(verify({ equivalent: { from: "checkout", to: ["ledger", "payments"] } }), /^refuted: .*POST \/v1/)
    assert.strictEqual(verify({ equivalent: { from: "admin", to: ["ledger", "payments"] } }), "proved")
    assert.strictEqual(verify({ never: { from: "peer:east/*", to: ["payments", "ledger"] } }), "proved")
  })

  it("refuses statements about nobody, and statements that say nothing or too much", () => {
    assert.match(verify({ never: { from: "chekout", to: "payments" } }), /^invalid: no caller is named chekout/)
    assert.match(verify({ never: { from: "web", to: "paymets" } }), /^invalid: no destination is named paymets/)
    assert.throws(() => decode({}), /it says nothing: give one of never/)
    assert.throws(() => decode({ never: { to: "*" }, always: { to: "*" } }), /it says never and always/)
    assert.throws(() => decode({ nevr: { to: "*" } }))
  })

  it("is told apart by CI systems", () => {
    const findings = [{ never: { to: "payments" }, name: "a <b> & \"c\"" }, {
      only: { from: "checkout", to: "payments" }
    }, { never: { to: "paymets" } }]
      .map((assertion) => Assertion.verify(mesh, decode(assertion)))
    const junit = Report.format(findings, "junit", setting)
    assert.include(junit, "tests=\"3\" failures=\"1\" errors=\"1\"")
    assert.include(junit, "name=\"a &#60;b&#62; &#38; &#34;c&#34;\"")
    assert.match(
      Report.format(findings, "tap", setting),
      /^TAP version 14\n1\.\.3\nnot ok 1 - a <b>.*\n[^]*\nok 2 - only/
    )
    assert.deepStrictEqual(
      (JSON.parse(Report.format(findings, "json", setting)) as Array<{ verdict: string }>).map(({ verdict }) =>
        verdict
      ),
      ["refuted", "proved", "invalid"]
    )
    assert.include(Report.format(findings, "text", setting), "1 of 3 proved")
  })

  it.prop(
    "proves no never that a random search refutes",
    { rule: Rules.rules, region: Rules.rules, defaultPolicy, seed: Rules.seeds },
    ({ defaultPolicy, region, rule, seed }) => {
      const http = region.Permissions?.[0]?.HTTP
      const mesh = Mesh.make(Policy.make({
        intentions: [rule],
        defaultPolicy,
        services: [{ service: "api", protocol: "http" }],
        normalization: { InsecureDisablePathNormalization: true }
      }))
      const never = { to: "api", from: "web", ...(http === undefined ? {} : { when: http }) }
      const { verdict } = Assertion.verify(mesh, { never })
      // What would take too much to tell apart is said to be undecided, with that reason and no other.
      if (verdict._tag === "Undecided") return assert.match(verdict.why, /need more than \d+ states to be told apart$/)
      if (verdict._tag !== "Proved") return assert.strictEqual(verdict._tag, "Refuted", JSON.stringify(verdict))
      const web = Callers.classes([mesh.policy]).find((caller) => caller.label === "web")!
      const api = { service: "api", namespace: "default", partition: "default" }
      // The region is asked about as a permission would be, so that only the Authorizer judges.
      const inside = Policy.authorizer(
        Policy.make({
          intentions: [make("web", "api", [{ Action: "allow", HTTP: http ?? { PathPrefix: "/" } }])],
          defaultPolicy: "deny",
          services: [{ service: "api", protocol: "http" }]
        }),
        api
      )
      for (const request of Rules.requestsFor(rule, seed, 200)) {
        const found = mesh.ask(web, api, request)
        if (!found.allowed) continue
        const ask = { method: request.method, path: request.path, headers: request.headers, tokens: [] }
        const { allowed } = inside.request(web.id, Witnesses.toRequest(ask))
        assert.isFalse(allowed, `not proved after all: ${JSON.stringify(request)}`)
      }
    },
    { arbitrary: { runs: Number(process.env["POLICY_RUNS"] || 150) }, timeout: 3_600_000 }
  )

  it.prop(
    "takes one caller that nobody names for all of them",
    {
      name: Arbitrary.schema(Schema.String.check(Schema.isPattern(/^[a-z]{1,6}$/))),
      namespace: Arbitrary.schema(Schema.Literals(["default", "team", "else"]))
    },
    ({ name, namespace }) => {
      const policy = Policy.make({
        defaultPolicy: "deny",
        intentions: [
          make("web", "api", "allow"),
          make("*", "api", "allow", { SourceNS: "team" }),
          make("*", "api", "deny", { SourceNS: "*" })
        ]
      })
      const mesh = Mesh.make(policy)
      const callers = Callers.classes([policy])
      const member = callers.find((caller) => caller.id.service === name && caller.id.namespace === namespace) ??
        callers.find((caller) => caller.other && caller.id.namespace === namespace) ??
        callers.find((caller) => caller.label === "any service in any other namespace")!
      const { connection } = mesh.authorizer({ service: "api", namespace: "default", partition: "default" })
      assert.deepStrictEqual(connection({ ...member.id, service: name, namespace }), connection(member.id))
    }
  )
})
