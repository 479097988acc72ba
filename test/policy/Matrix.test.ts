import { assert, describe, it } from "@effect/vitest"
import * as Intention from "../../src/intention/Intention.ts"
import * as Matrix from "../../src/policy/Matrix.ts"
import * as Mesh from "../../src/policy/Mesh.ts"
import * as Page from "../../src/policy/Page.ts"
import * as Policy from "../../src/policy/Policy.ts"
import * as Meshes from "../support/meshes.ts"

const { make } = Intention

const matrix = (services: ReadonlyArray<string>, ...intentions: ReadonlyArray<Intention.Intention>) =>
  Matrix.make(Mesh.make(Policy.make({ intentions, defaultPolicy: "deny", services })))

const small = matrix(
  ["db"],
  make("web", "api", [
    { Action: "allow", HTTP: { PathPrefix: "/v1/" } },
    { Action: "allow", HTTP: { PathExact: "/t" }, JWT: { Providers: [{ Name: "okta" }] } }
  ]),
  make("*", "db", "allow"),
  make("bad", "api", [{ Action: "allow", HTTP: { PathRegex: "(a|b)*a(a|b){14}" } }])
)

describe("Matrix", () => {
  it("fits a terminal", () => {
    assert.strictEqual(
      Matrix.format(small),
      [
        "Callers down, destinations across:",
        "  1 api",
        "  2 db",
        "  3 any other service",
        "",
        "                   1 2 3",
        "bad                ? ● ·",
        "db                 · ● ·",
        "web                ◐ ● ·",
        "any other service  · ● ·",
        "",
        "● allowed 4   ◐ some requests 1   · denied 6   ? not decided 1"
      ].join("\n")
    )
    const large = Matrix.format(Matrix.make(Mesh.make(
      Meshes.policy({ services: 100, intentions: 150, withPermissions: 0, seed: 1 })
    )))
    assert.isAtMost(Math.max(...large.split("\n").map((line) => line.length)), 130)
  })

  it("gives machines the verdicts, the rules behind them, and requests that show them", () => {
    const { callers, destinations, reasons, rows } = Matrix.toJson(small)
    const web = callers.findIndex(({ name }) => name === "web")
    const api = destinations.findIndex(({ name }) => name === "api")
    assert.deepStrictEqual(reasons[rows[web]![api]!], {
      verdict: "some",
      rule: "web → api (precedence 9)",
      because: "it depends on the request",
      permissions: ["allow: a path that starts with /v1/", "allow: the path /t, a token of okta"],
      examples: [
        {
          allowed: false,
          request: "GET /",
          because:
            "denied by the default policy: no permission of intention web → api (precedence 9) is about this request"
        },
        {
          allowed: false,
          request: "GET /t",
          because:
            "denied by the default policy: permission 2 of intention web → api (precedence 9) requires a token of okta"
        },
        {
          allowed: true,
          request: "GET /t, a token of okta",
          because: "allowed by permission 2 of intention web → api (precedence 9)"
        },
        { allowed: true, request: "GET /v1/", because: "allowed by permission 1 of intention web → api (precedence 9)" }
      ]
    })
  })

  it("is drawn on a page that needs nothing else, and that no name can break", () => {
    const page = Page.render(matrix(["</script><img src=x onerror=alert(1)>", "a\u2028b"]), "deny")
    assert.strictEqual(page.match(/<\/script>/g)?.length, 2)
    assert.notInclude(page, "<img")
    assert.include(page, "default-src 'none'")
    const data = /<script type="application\/json" id="data">(.*)<\/script>/.exec(page)![1]!
    const { callers } = JSON.parse(data) as { readonly callers: ReadonlyArray<{ readonly name: string }> }
    assert.include(
      callers.map(({ name }) => name),
      "</script><img src=x onerror=alert(1)>".split("/").slice(-3).join("/")
    )
  })
})
