import { assert, describe, it } from "@effect/vitest"
import * as Intention from "../../../src/intention/Intention.ts"
import type * as PathNormalization from "../../../src/intention/PathNormalization.ts"
import * as Callers from "../../../src/policy/Callers.ts"
import * as Explanation from "../../../src/policy/question/Explanation.ts"
import * as Mesh from "../../../src/policy/Mesh.ts"
import * as Policy from "../../../src/policy/Policy.ts"
import * as Surprises from "../../../src/policy/question/Surprises.ts"

const { make } = Intention
type Http = Intention.HttpPermission
const allow = (HTTP: Http): Intention.Permission => ({ Action: "allow", HTTP })
const deny = (HTTP: Http): Intention.Permission => ({ Action: "deny", HTTP })

const meshOf = (
  intentions: ReadonlyArray<Intention.Intention>,
  defaultPolicy: "allow" | "deny",
  protocol?: string,
  normalization?: PathNormalization.RequestNormalization
) => {
  const policy = Policy.make({
    intentions,
    defaultPolicy,
    normalization,
    services: [{ service: "api", ...(protocol === undefined ? {} : { protocol }) }, "web", "db"]
  })
  const api = Policy.destinations([policy]).find(({ label }) => label === "api")!
  return { api, mesh: Mesh.make(policy), policy }
}

const find = (...args: Parameters<typeof meshOf>): ReadonlyArray<Surprises.Surprise> => {
  const { api, mesh, policy } = meshOf(...args)
  return Surprises.find(mesh, api, Callers.classes([policy]))
}

const explain = (...args: Parameters<typeof meshOf>): Explanation.Explanation => {
  const { api, mesh } = meshOf(...args)
  return Explanation.make(mesh, api)
}

const surprises = (...args: Parameters<typeof meshOf>): ReadonlyArray<string> =>
  find(...args).map((each) => `${each.kind}: ${Surprises.format(each)}`)

describe("Surprises", () => {
  it("finds an allow list that restricts nothing", () => {
    const list = [make("web", "api", [allow({ PathPrefix: "/public/" })])]
    assert.deepStrictEqual(surprises(list, "allow", "http"), [
      "restricts-nothing: web → api (precedence 9): has permissions, yet allows every request, as the default policy does"
    ])
    assert.deepStrictEqual(surprises(list, "deny", "http"), [])
  })

  it("finds a deny list that allows nothing", () => {
    const list = [make("web", "api", [deny({ PathPrefix: "/admin/" })])]
    assert.deepStrictEqual(surprises(list, "deny", "http"), [
      "allows-nothing: web → api (precedence 9): has permissions, yet denies every request, as the default policy does"
    ])
    assert.notInclude(surprises(list, "allow", "http").join(), "-nothing")
  })

  it("finds a prefix without a boundary, unless nothing more is reached by it", () => {
    assert.deepStrictEqual(surprises([make("web", "api", [allow({ PathPrefix: "/v1" })])], "deny", "http"), [
      "no-boundary: permission 1 of web → api (precedence 9): the prefix /v1 has no boundary: it covers more than /v1 and " +
      "what is below /v1/ (GET /v1a)"
    ])
    const guarded = [deny({ PathRegex: "/v1[^/].*" }), allow({ PathPrefix: "/v1" })]
    assert.deepStrictEqual(surprises([make("web", "api", guarded)], "deny", "http"), [])
  })

  it("takes a denial that covers too much for less than an allow that does", () => {
    const list = [deny({ PathPrefix: "/admin" }), allow({ PathPrefix: "/" })]
    const found = surprises([make("web", "api", list)], "deny", "http").filter((each) => !each.startsWith("way-around"))
    assert.match(found.join(), /^wide-denial: permission 1 of [^,]*$/)
  })

  it("finds other spellings of a denied path that are allowed, under the normalisation in force", () => {
    const orders = [deny({ PathPrefix: "/orders/admin" }), allow({ PathPrefix: "/orders" })]
    const around = (
      permissions: ReadonlyArray<Intention.Permission>,
      ...rest: [policy: "allow" | "deny", settings?: object]
    ) =>
      surprises([make("web", "api", permissions)], rest[0], "http", rest[1]).filter((each) =>
        each.startsWith("way-around")
      )
    assert.deepStrictEqual(around(orders, "deny"), [
      "way-around: permission 1 of web → api (precedence 9): denies /orders/admin, and other spellings of that are allowed, " +
      "which many servers take for the same path: /orders//admin (slashes), /orders/ADMIN (letter case), /orders%2Fadmin (escapes), " +
      "/orders;a/admin (parameters) (GET /orders//admin)"
    ])
    assert.notInclude(around(orders, "deny", { MergeSlashes: true }).join(), "//")
    assert.include(
      around(orders, "deny", { InsecureDisablePathNormalization: true }).join(),
      "/orders/%61dmin (escapes)"
    )
    // It takes what else the denial asks for, and what the other permission asks for.
    const withHeaders = [
      deny({ PathPrefix: "/a/", Methods: ["POST"] }),
      allow({ PathPrefix: "/", Header: [{ Name: "x-a", Exact: "b" }] })
    ]
    assert.match(around(withHeaders, "deny").join(), /\(POST \/\/a\/, x-a: "b"\)$/)
    assert.lengthOf(around([deny({ PathExact: "/admin" })], "allow"), 1)
    // Nothing to get around, and nothing to get to.
    assert.deepStrictEqual(around([deny({ PathPrefix: "/admin" }), allow({ PathPrefix: "/v1/" })], "deny"), [])
    assert.deepStrictEqual(around([deny({ PathPrefix: "/" })], "allow"), [])
    assert.deepStrictEqual(around([allow({ PathPrefix: "/" }), deny({ PathPrefix: "/admin" })], "deny"), [])
  })

  it("finds a matcher that an absent header gets around", () => {
    const absent = (permissions: ReadonlyArray<Intention.Permission>) =>
      surprises([make("web", "api", permissions)], "allow", "http").filter((each) => each.startsWith("absent-header"))
    const inverted = { Header: [{ Name: "X-Role", Exact: "admin", Invert: true }] }
    const admin = deny({ PathPrefix: "/admin/", ...inverted })
    assert.deepStrictEqual(absent([admin]), [
      "absent-header: permission 1 of web → api (precedence 9): a request without the header X-Role gets around it, because " +
      "an absent header fails inverted matchers too (GET /admin/)"
    ])
    const closed = [deny({ PathPrefix: "/admin/", Header: [{ Name: "x-role", Present: true, Invert: true }] }), admin]
    assert.deepStrictEqual(absent(closed), [])
  })

  it("finds where Consul's Envoy differs from precedence, for the pair (8, 6)", () => {
    const pair = [make("*", "api", "deny"), make("web", "*", "allow")]
    assert.deepStrictEqual(surprises(pair, "deny", "http"), [
      "shadowed: web → * (precedence 6): never decides here: for every caller another one outranks it",
      "envoy-differs: * → api (precedence 8): decides about web, yet Consul's Envoy sidecars also apply web → * " +
      "(precedence 6), and allow what it does"
    ])
    assert.include(surprises(pair, "deny").join(), "envoy-differs")
    // An intention of its own settles it, and so does agreement.
    assert.notInclude(surprises([...pair, make("web", "api", "deny")], "deny").join(), "envoy-differs")
    assert.notInclude(surprises([make("*", "api", "allow"), make("web", "*", "allow")], "deny").join(), "envoy-differs")
    assert.include(surprises([make("*", "api", "allow"), make("web", "*", "deny")], "allow").join(), "envoy-differs")
    // A narrower source that ranks higher is subtracted, as it should be.
    assert.notInclude(
      surprises([make("web", "api", "deny"), make("*", "api", "allow")], "deny").join(),
      "envoy-differs"
    )
  })

  it("shows the request on which Envoy differs, where it is not all of them", () => {
    const found = find(
      [make("*", "api", [allow({ PathPrefix: "/v1/" })]), make("web", "*", "allow")],
      "deny",
      "http"
    )
      .find(({ kind }) => kind === "envoy-differs")
    assert.deepStrictEqual(found?.witness, { method: "GET", path: "/", headers: [], tokens: [] })
  })

  it("finds permissions that never decide, and what comes before them", () => {
    const list = [
      allow({ PathPrefix: "/a/" }),
      deny({ PathRegex: "/b(/.*)?" }),
      deny({ PathRegex: "/a/[0-9]+|/b/x" }),
      deny({ PathRegex: "x" })
    ]
    assert.deepStrictEqual(surprises([make("web", "api", list)], "deny", "http"), [
      "unreachable: permission 3 of web → api (precedence 9): never decides: permissions 1 and 2 come first for every request " +
      "that it is about",
      "unreachable: permission 4 of web → api (precedence 9): never decides: no request can fulfil it"
    ])
  })

  it("finds permissions of a service that does not speak HTTP, and guesses where nothing says", () => {
    const list = [make("web", "api", [allow({ PathPrefix: "/a/" })])]
    assert.match(surprises(list, "deny", "tcp").join(), /^needs-http: web → api/)
    assert.match(surprises(list, "deny").join(), /^assumed-protocol: /)
  })

  it("finds required tokens that a server of connections can not look for, where they guard anything", () => {
    const jwt = { JWT: { Providers: [{ Name: "okta" }] } }
    assert.match(
      surprises([make("web", "api", "allow", jwt)], "deny", "http").join(),
      /^needs-requests: web → api .*a server that judges connections, as MeshSocketServer does, refuses everybody/
    )
    assert.notMatch(surprises([make("web", "api", "allow", jwt)], "deny", "tcp").join(), /needs-requests/)
    assert.notMatch(surprises([make("web", "api", "allow", jwt)], "allow", "http").join(), /needs-requests/)
  })

  it("finds tokens that guard nothing, and what is not understood", () => {
    const jwt = { JWT: { Providers: [{ Name: "okta" }] } }
    assert.match(surprises([make("web", "api", "allow", jwt)], "allow", "http").join(), /^token-unused: /)
    assert.match(
      surprises([make("web", "api", [allow({ PathRegex: "(" })])], "deny", "http").join(),
      /not-understood: .*no RE2/
    )
  })

  it("says that a rule is too much to look through", () => {
    const rule = make("web", "api", [allow({ PathRegex: "(a|b)*a(a|b){14}" })])
    assert.match(surprises([rule], "deny", "http").join(), /^not-decided: .* more than 5000 states/)
    assert.strictEqual(
      explain([rule], "deny", "http").groups.find(({ callers }) => callers.includes("web"))!.cell.verdict,
      "undecided"
    )
  })

  it("explains every class of callers in words", () => {
    assert.strictEqual(
      Explanation.format([
        explain([make("web", "api", [allow({ PathPrefix: "/v1/", Methods: ["GET"] })])], "deny", "http")
      ]),
      [
        "api speaks http; the default policy is deny.",
        "At a server that judges connections (MeshSocketServer) whatever depends on the request is denied.",
        "",
        "Denied: api, db, any other service",
        "  denied by the default policy: no intention is about this caller",
        "",
        "Some requests: web",
        "  by intention web → api (precedence 9)",
        "  1. allow: GET, a path that starts with /v1/ — for example GET /v1/",
        "  otherwise the default policy: deny — for example GET /"
      ].join("\n")
    )
  })
})
