import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as HashKey from "../../src/route/HashKey.ts"
import * as HttpRoutes from "../../src/route/HttpRoutes.ts"
import type * as TcpRoute from "../../src/route/TcpRoute.ts"
import * as Parity from "../support/parity.ts"

const by = (field: TcpRoute.HashBy["field"], name: string, terminal = false): TcpRoute.HashBy => ({
  field,
  name,
  terminal
})

const request = (headers: Readonly<Record<string, string>>, path = "/"): HashKey.Request => ({
  path,
  header: (name) => headers[name]
})

describe("HashKey", () => {
  it.each([
    ["a header, whatever its case", by("header", "X-User"), request({ "x-user": "ann" }), request({ "x-user": "bob" })],
    ["a cookie", by("cookie", "sid"), request({ cookie: "a=1; sid=7" }), request({ cookie: "sid=8; a=1" })],
    ["a query parameter", by("query_parameter", "user"), request({}, "/?a=1&user=ann"), request({}, "/?a=1&user=bob")]
  ])("tells requests apart by %s, and by nothing else", (_, hashBy, one, other) => {
    const same: HashKey.Request = {
      path: `/other${one.path}&x=y`,
      header: (name) => name === "x-other" ? "1" : one.header(name)
    }
    assert.strictEqual(HashKey.of([hashBy], one), HashKey.of([hashBy], same))
    assert.notStrictEqual(HashKey.of([hashBy], one), HashKey.of([hashBy], other))
  })

  it.each([[":path", "/a"], [":authority", "a.test"], [":method", "PUT"]])("takes %s for a header", (name, value) => {
    const asked = { method: "PUT", path: "/a", header: (name: string) => name === "host" ? "a.test" : undefined }
    const same = HashKey.of([by("header", "x-user")], request({ "x-user": value }))
    assert.strictEqual(HashKey.of([by("header", name)], asked), same)
  })

  it("asks the request that it is given, which may be more than its functions", () => {
    class Asked {
      readonly path = "/"
      readonly #user = "ann"
      header(name: string): string | undefined {
        return name === "x-user" ? this.#user : undefined
      }
    }
    const user = by("header", "x-user")
    assert.strictEqual(HashKey.of([user], new Asked()), HashKey.of([user], request({ "x-user": "ann" })))
  })

  it("has nothing to hash where everything is absent", () =>
    assert.isUndefined(HashKey.of([by("header", "a"), by("cookie", "b"), by("query_parameter", "c")], request({}))))

  it("combines what there is, in order", () => {
    const both = request({ a: "1", b: "2" })
    assert.notStrictEqual(
      HashKey.of([by("header", "a"), by("header", "b")], both),
      HashKey.of([by("header", "a")], both)
    )
    assert.notStrictEqual(
      HashKey.of([by("header", "a"), by("header", "b")], both),
      HashKey.of([by("header", "b"), by("header", "a")], both)
    )
  })

  it("stops at a terminal one that there is", () => {
    const rules = [by("header", "a", true), by("header", "b")]
    assert.strictEqual(HashKey.of(rules, request({ a: "1", b: "2" })), HashKey.of(rules, request({ a: "1", b: "3" })))
    assert.notStrictEqual(HashKey.of(rules, request({ b: "2" })), HashKey.of(rules, request({ b: "3" })))
  })

  it("tells callers apart by their addresses", () => {
    const from = (source: string) => HashKey.of([by("source_ip", "")], { ...request({}), source })
    assert.strictEqual(from("10.0.0.1"), from("10.0.0.1"))
    assert.notStrictEqual(from("10.0.0.1"), from("10.0.0.2"))
  })

  describe("makes the cookies that real sidecars make", () => {
    const scenario = Parity.scenarios("balancing").find(({ name }) => name === "hash of a cookie with a lifetime")!
    const route = Result.getOrThrow(HttpRoutes.compile(Parity.compile("pool", scenario.config!))).routes[0]!

    it.each(scenario.requests.filter(({ expect: { response } }) => response != null))("$headers", (asked) => {
      const [cookie] = (asked.headers ?? []).map((line) => line.replace(/^cookie: /, ""))
      const sent = request(cookie === undefined ? {} : { cookie })
      const { setCookie } = HashKey.withCookie(route.hashBy, sent, () => "<value>")
      const line = asked.expect.response!.headers.find((line) => line.startsWith("set-cookie: "))
      assert.strictEqual(setCookie, line?.slice("set-cookie: ".length))
    })

    it("so that the next request meets the same instance", () => {
      const { hash, setCookie } = HashKey.withCookie(route.hashBy, request({}), () => "fresh")
      assert.isDefined(hash)
      const next = request({ cookie: setCookie!.split(";")[0]! })
      assert.deepStrictEqual(HashKey.withCookie(route.hashBy, next, () => "other"), { hash, setCookie: undefined })
    })
  })
})
