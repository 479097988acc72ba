import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as HttpRequest from "../../src/intention/HttpRequest.ts"
import * as HeaderRules from "../../src/route/HeaderRules.ts"
import * as HttpRoutes from "../../src/route/HttpRoutes.ts"
import { factsOf } from "../support/facts.ts"
import * as Parity from "../support/parity.ts"

const rules = (said: Partial<HeaderRules.HeaderRules["said"]>) =>
  Result.getOrThrow(HeaderRules.compile({ Add: {}, Set: {}, Remove: [], ...said }))

const lines = (raw: ReadonlyArray<string>) =>
  Array.from({ length: raw.length / 2 }, (_, i) => `${raw[i * 2]}: ${raw[i * 2 + 1]}`)

describe("HeaderRules", () => {
  it("removes, then sets, then adds, whatever the case of names", () => {
    const rule = rules({
      Remove: ["X-Gone", "x-set"],
      Set: { "X-Set": "new" },
      Add: { "x-add": "two", "x-gone": "back" }
    })
    const raw = ["x-add", "one", "X-SET", "old", "x-gone", "1", "Host", "a"]
    assert.deepStrictEqual(lines(rule.apply(raw, factsOf({}))), [
      "x-add: one",
      "Host: a",
      "x-set: new",
      "x-add: two",
      "x-gone: back"
    ])
  })

  it("changes nothing of what tells where a message ends, and whom it is for", () => {
    const rule = rules({
      Remove: ["Content-Length", "transfer-encoding"],
      Set: { Host: "b", "content-length": "0" },
      Add: { Connection: "close", "Transfer-Encoding": "chunked" }
    })
    const raw = ["Host", "a", "Content-Length", "5"]
    assert.deepStrictEqual(rule.apply(raw, factsOf({})), raw)
  })

  it("leaves a header alone whose value comes out empty", () => {
    const rule = rules({ Set: { "x-a": "%REQ(x-none)%", "x-b": "%REQ(x-in)%!" }, Add: { "x-c": "%RESPONSE_CODE%" } })
    const raw = rule.apply(["x-a", "old"], factsOf({ request: { "x-in": "hello" } }))
    assert.deepStrictEqual(lines(raw), ["x-a: old", "x-b: hello!"])
  })

  it.each([
    ["%NOPE%", /x-a: the operator %NOPE% is not known/],
    ["100%", /write %NAME%, or %% for a percent sign/],
    ["%REQ()%", /names a header/]
  ])("says what is wrong with %j", (value, expected) => {
    const compiled = HeaderRules.compile({ Add: {}, Set: { "x-a": value }, Remove: [] })
    assert.match(String(Result.getFailure(compiled)), expected)
  })

  describe("changes requests as real sidecars do", () => {
    const changing = [...Parity.scenarios("routing"), ...Parity.scenarios("splitter")].filter(({ name }) =>
      name.startsWith("route header") || name.startsWith("header changes")
    )
    for (const { config = [], name, requests } of changing) {
      it(name, () => {
        for (const { expect: { seen }, headers = [], target = "/", to } of requests) {
          const raw = headers.flatMap((line) => line.split(": "))
          const routes = Result.getOrThrow(HttpRoutes.compile(Parity.compile(to, config)))
          const route = routes.find(HttpRequest.fromRaw("GET", target, raw))!
          const leg = HttpRoutes.draw(route, () => 0)
          const facts = factsOf({
            request: { ...Object.fromEntries(headers.map((line) => line.split(": "))), ":path": target },
            PROTOCOL: "HTTP/1.1",
            DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: "127.0.0.1"
          })
          const sent = HeaderRules.applyAll([leg?.changes.request, route.changes.request], raw, facts)
          // What sidecars add by themselves is not of these rules.
          const ofSidecars = /^(?:x-request-id|x-forwarded-.*|x-envoy-.*|host):/i
          const expected = seen![0]!.headers.filter((line) => !ofSidecars.test(line))
          assert.deepStrictEqual(lines(sent).toSorted(), expected.toSorted())
        }
      })
    }
  })
})
