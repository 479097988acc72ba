import { assert, describe, it } from "@effect/vitest"
import * as Intention from "../../../src/intention/Intention.ts"
import * as Explanation from "../../../src/policy/question/Explanation.ts"
import * as Lint from "../../../src/policy/question/Lint.ts"
import * as Mesh from "../../../src/policy/Mesh.ts"
import * as Policy from "../../../src/policy/Policy.ts"

const { make } = Intention
const prefix = (PathPrefix: string): Intention.Permission => ({ Action: "allow", HTTP: { PathPrefix } })

const meshOf = (intentions: ReadonlyArray<Intention.Intention>, defaultPolicy: "allow" | "deny" = "deny") =>
  Mesh.make(Policy.make({
    intentions,
    defaultPolicy,
    services: ["api", "orders", "payments"].map((service) => ({ service, protocol: "http" }))
  }))

const findings = (intentions: ReadonlyArray<Intention.Intention>, config?: Lint.Config) =>
  Lint.run(meshOf(intentions), config)

const show = (list: ReadonlyArray<Lint.Finding>): ReadonlyArray<string> =>
  list.map((each) => `${each.level} ${each.rule}: ${Lint.toNotice(each).subject}`)

const loose = make("web", "api", [prefix("/v1")])

describe("Lint", () => {
  it("says once, as a note, that a wildcard does not decide where it is outranked", () => {
    const idiom = [
      make("*", "*", "allow"),
      ...["api", "orders", "payments"].map((destination) => make("*", destination, "deny"))
    ]
    const found = findings(idiom)
    assert.deepStrictEqual(show(found), ["note outranked: * → *"])
    assert.deepStrictEqual(found[0]!.destinations, ["api", "orders", "payments"])
    assert.isFalse(Lint.fails(found))
  })

  it("tells of each caller that Envoy would let in by another intention", () => {
    const found = findings([make("*", "api", "deny"), make("web", "*", "allow"), make("db", "*", "allow")])
      .filter(({ rule }) => rule === "envoy-differs")
    assert.deepStrictEqual(found.map(({ message }) => message.split(",")[0]), ["decides about db", "decides about web"])
  })

  it("fails by an error that nobody silenced, and by nothing less", () => {
    const level = (level: Lint.Level): Lint.Config => ({ levels: { "no-boundary": level }, silences: [] })
    assert.deepStrictEqual(show(findings([loose])), ["warning no-boundary: permission 1 of web → api"])
    assert.isFalse(Lint.fails(findings([loose])))
    assert.isTrue(Lint.fails(findings([loose], level("error"))))
    assert.deepStrictEqual(findings([loose], level("off")), [])
    const silences = [{ rule: "no-boundary" as const, source: "web", destination: "api", reason: "v10 is ours too" }]
    const silenced = findings([loose], { levels: { "no-boundary": "error" }, silences })
    assert.isFalse(Lint.fails(silenced))
    assert.deepStrictEqual(silenced.map(({ silenced }) => silenced), ["v10 is ours too"])
  })

  it("silences no more than is named", () => {
    const list = [make("web", "api", [prefix("/v1"), prefix("/w1")]), make("db", "api", [prefix("/v1")])]
    const loud = (silence: Partial<Lint.Silence>) =>
      show(
        findings(list, { levels: {}, silences: [{ rule: "no-boundary", reason: "known", ...silence }] })
          .filter(({ silenced }) => silenced === undefined)
      )
    assert.deepStrictEqual(loud({}), [])
    assert.deepStrictEqual(loud({ source: "web" }), ["warning no-boundary: permission 1 of db → api"])
    assert.deepStrictEqual(loud({ source: "web", permission: 2 }), [
      "warning no-boundary: permission 1 of db → api",
      "warning no-boundary: permission 1 of web → api"
    ])
  })

  it("reports a silencing that nothing needs, also where its rule is off", () => {
    const silences = [
      { rule: "no-boundary" as const, destination: "api", reason: "known" },
      { rule: "no-boundary" as const, destination: "orders", reason: "gone" }
    ]
    const found = findings([loose], { levels: { "no-boundary": "off" }, silences })
    assert.deepStrictEqual(show(found), ["warning unused-silence: unused-silence"])
    assert.include(found[0]!.message, "no-boundary of any → orders")
  })

  it("says of a finding that it holds under one default policy only, where nobody says which holds", () => {
    const list = [make("web", "api", [prefix("/v1/")])]
    const found = Lint.runUnderEach([meshOf(list, "deny"), meshOf(list, "allow")])
    assert.deepStrictEqual(found.map(({ level, message, rule }) => `${level} ${rule}: ${message}`), [
      "error restricts-nothing: if the default policy is allow: has permissions, yet allows every request, as the default policy does"
    ])
  })

  it("is what explain shows, with notes at the end where several services are explained", () => {
    const mesh = meshOf([make("*", "*", "deny"), make("*", "orders", "deny"), make("*", "payments", "deny"), loose])
    const found = Lint.run(mesh)
    const text = Explanation.format(
      Policy.destinations([mesh.policy]).map((each) => Explanation.make(mesh, each, found))
    )
    assert.strictEqual(text.split("outranked").length, 2)
    assert.match(text, /Worth a look:\n {2}! warning no-boundary: permission 1 of web → api: /)
    assert.match(text, /\n\nNotes:\n {2}! note outranked: \* → \*: does not decide at orders, payments: /)
  })
})
