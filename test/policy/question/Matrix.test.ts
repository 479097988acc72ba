import { assert, describe, it } from "@effect/vitest"
import * as Terminal from "../../../src/cli/policy/Terminal.ts"
import * as Intention from "../../../src/intention/Intention.ts"
import * as Lint from "../../../src/policy/question/Lint.ts"
import * as Matrix from "../../../src/policy/question/Matrix.ts"
import * as MatrixText from "../../../src/policy/report/MatrixText.ts"
import * as Mesh from "../../../src/policy/Mesh.ts"
import * as Page from "../../../src/policy/report/Page.ts"
import * as Policy from "../../../src/policy/Policy.ts"
import * as Meshes from "../../support/meshes.ts"

const { make } = Intention

const meshOf = (services: ReadonlyArray<string>, ...intentions: ReadonlyArray<Intention.Intention>) =>
  Mesh.make(Policy.make({ intentions, defaultPolicy: "deny", services }))

const matrix = (...args: Parameters<typeof meshOf>) => Matrix.make(meshOf(...args))

const render = (...services: ReadonlyArray<string>): string => {
  const mesh = meshOf(services, make("<b>", "api", [{ Action: "allow", HTTP: { PathPrefix: "/v1" } }]))
  return Page.render({
    mesh,
    matrix: Matrix.make(mesh),
    findings: Lint.run(mesh),
    source: "<u>policy/",
    date: "2026-01-02T03:04:05.000Z"
  })
}

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
  it("has the whole name of each column in a terminal, and callers that nobody calls", () => {
    assert.strictEqual(
      MatrixText.format(small),
      [
        "                   ╭─ api",
        "                   │ ╭─ db",
        "                   │ │ ╭─ any other service",
        "bad                ? ● ·",
        "db                 · ● ·",
        "web                ◐ ● ·",
        "any other service  · ● ·",
        "",
        "● allowed 4   ◐ some requests 1   · denied 6   ? not decided 1"
      ].join("\n")
    )
  })

  it("goes on below what is wider than the terminal, and keeps within it", () => {
    const lines = MatrixText.format(
      Matrix.make(Mesh.make(Meshes.policy({ services: 100, intentions: 150, withPermissions: 0, seed: 1 }))),
      { color: false, width: 80 }
    ).split("\n")
    assert.isAtMost(Math.max(...lines.map((line) => line.length)), 80)
    assert.strictEqual(lines.filter((line) => line.includes("╭─ ")).length, 101)
  })

  it("has colours where they are wanted only, and names that can not move the cursor", () => {
    const colored = MatrixText.format(small, { color: true, width: 80 })
    // eslint-disable-next-line no-control-regex -- what it looks for
    assert.strictEqual(colored.replace(/\x1b\[\d+m/g, ""), MatrixText.format(small))
    assert.include(colored, "\u001b[32m●\u001b[0m")
    assert.notInclude(MatrixText.format(matrix(["\u001b[2Ja"])), "\u001b")
    const terminal = { isTTY: true, columns: 90 }
    assert.deepStrictEqual(Terminal.of(terminal, {}), { color: true, width: 90 })
    assert.isFalse(Terminal.of(terminal, { NO_COLOR: "1" }).color)
    assert.isFalse(Terminal.of(terminal, { TERM: "dumb" }).color)
    assert.deepStrictEqual(Terminal.of({}, {}), { color: false, width: 120 })
  })

  it("shows only the callers and destinations that are asked for", () => {
    const lines = (from: ReadonlyArray<string>, to: ReadonlyArray<string>) =>
      MatrixText.format(Matrix.only(small, from, to)).split("\n").slice(0, -2)
    assert.deepStrictEqual(lines(["web"], ["DB"]), ["     ╭─ db", "web  ●"])
    assert.strictEqual(lines([], ["api"]).length, 5)
  })

  it("tells a pull request who may call whom", () => {
    const markdown = MatrixText.markdown(small)
    assert.match(markdown, /^### Policy: 4 callers, 3 destinations\n/)
    assert.include(markdown, "Nobody may call 1 of the destinations.")
    assert.include(markdown, "| `api` |  | `web` | `bad` |")
    assert.include(markdown, "| `db` | `bad` `db` `web` `any other service` |")
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
    const page = render("</script><img src=x onerror=alert(1)>", "a\u2028b")
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

  it("lists on the page what is worth a look, a request for each rule, and whose policy it was when", () => {
    const page = render("db")
    assert.include(page, "Policy of\n<b>&#60;u&#62;policy/</b>, read <time datetime=\"2026-01-02T03:04:05.000Z\">")
    assert.match(page, /Worth a look \(\d\)<\/button>/)
    assert.match(page, /<td><span class="level warning">warning<\/span><\/td><td><code>no-boundary<\/code><\/td>/)
    assert.match(page, /<section id="requests" class="list">[^]*<td>&#60;b&#62;<\/td>[^]*<code>GET \/v1<\/code>/)
    assert.include(page, "@media print")
    assert.notMatch(page, /<u>|<b><|<td><b>/)
  })
})
