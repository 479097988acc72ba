import { assert, describe, it } from "@effect/vitest"
import type { Schema } from "effect"
import type * as Recording from "./Recording.ts"
import * as Verdict from "./Verdict.ts"

const scenario = (expect: Schema.JsonObject, more: Partial<Recording.Request> = {}): Recording.Scenario => ({
  area: "routing",
  name: "a scenario",
  about: "",
  requests: [{ to: "api", expect, ...more }]
})

const answer = (...headers: ReadonlyArray<string>): Schema.JsonObject => ({
  response: { version: "1.1", status: 200, reason: "OK", headers, body: "" }
})

const outcome = (
  expect: Schema.JsonObject,
  got: Schema.JsonObject,
  options: Parameters<typeof Verdict.of>[3] = { strict: false },
  more?: Partial<Recording.Request>
) => Verdict.of(scenario(expect, more), 0, got, options).outcome

describe("header lines", () => {
  it("are equal in another order of names, and other case", () => {
    assert.strictEqual(outcome(answer("a: 1", "b: 2"), answer("B: 2", "A: 1")), "equal")
  })

  it("are not equal in another order of values", () => {
    assert.strictEqual(outcome(answer("a: 1", "a: 2"), answer("a: 2", "a: 1")), "wrong")
  })

  it("are looked for on both sides", () => {
    assert.strictEqual(outcome(answer("a: 1"), answer()), "wrong")
    assert.strictEqual(outcome(answer(), answer("a: 1")), "wrong")
  })

  it("by which Envoy tells of itself count only where it is strict, as case does", () => {
    const expected = answer("server: envoy", "a: 1")
    assert.strictEqual(outcome(expected, answer("a: 1")), "equal")
    assert.strictEqual(outcome(expected, answer("a: 1"), { strict: true }), "wrong")
    assert.strictEqual(outcome(answer("a: 1"), answer("A: 1"), { strict: true }), "wrong")
  })

  it("of HTTP/2 keep the colon of their names", () => {
    const [index, other] = [answer(":path: /", ":method: GET"), answer(":path: /x", ":method: GET")]
    assert.strictEqual(outcome(index, other), "wrong")
  })

  it("are compared in what applications received, too", () => {
    const seen = (...headers: ReadonlyArray<string>) => ({ seen: [{ instance: "api-v1", headers }] })
    assert.strictEqual(outcome(seen("a: 1", "b: 2"), seen("b: 2", "a: 1")), "equal")
    const { differences } = Verdict.of(scenario(seen("a: 1")), 0, seen("a: 2"), { strict: false })
    assert.deepStrictEqual(differences, [{ where: "seen[0].headers.a[0]", expected: "1", got: "2" }])
  })
})

describe("an expectation", () => {
  it("leaves open whether a connection is closed and what arrived, and nothing else", () => {
    const expected = answer("a: 1")
    assert.strictEqual(outcome(expected, { ...expected, closed: true, seen: [] }), "equal")
    assert.strictEqual(outcome(expected, { ...expected, further: [] }), "wrong")
    assert.strictEqual(outcome({ ...expected, closed: false }, { ...expected, closed: true }), "wrong")
  })

  it("has a tolerance for counts, also of who never answered", () => {
    const counts = { counts: { a: 5, b: 5 }, tolerance: 2 }
    const tolerant = { tolerance: 2 }
    assert.strictEqual(outcome(counts, { counts: { a: 7, b: 3 } }, undefined, tolerant), "equal")
    assert.strictEqual(outcome(counts, { counts: { a: 8, b: 2 } }, undefined, tolerant), "wrong")
    assert.strictEqual(outcome(counts, { counts: { a: 5, b: 4, c: 1 } }, undefined, tolerant), "equal")
    assert.strictEqual(outcome({ counts: { a: 5 } }, { counts: { a: 4 } }), "wrong")
  })
})

describe("a request that is listed as different on purpose", () => {
  const purpose = {
    scenario: "routing/a scenario",
    requests: [0],
    reason: "safer",
    instead: { "response.headers.b": ["2"], "response.headers.a": null }
  }

  it("has to differ as it is listed", () => {
    assert.strictEqual(outcome(answer("a: 1"), answer("b: 2"), { strict: false, purpose }), "on purpose")
  })

  it("is wrong where it differs in another way, or in more than that", () => {
    assert.strictEqual(outcome(answer("a: 1"), answer("b: 3"), { strict: false, purpose }), "wrong")
    assert.strictEqual(outcome(answer("a: 1"), answer("b: 2", "c: 3"), { strict: false, purpose }), "wrong")
  })

  it("is to be taken off the list where it is equal", () => {
    const verdict = Verdict.of(scenario(answer("a: 1")), 0, answer("a: 1"), { strict: false, purpose })
    assert.strictEqual(verdict.outcome, "stale")
    assert.isTrue(Verdict.isBad(verdict))
  })
})
