import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as PathNormalization from "../../src/intention/PathNormalization.ts"
import * as HttpRequest from "../../src/intention/HttpRequest.ts"
import * as HttpRoutes from "../../src/route/HttpRoutes.ts"
import * as Parity from "../support/parity.ts"

const requestOf = ({ headers = [], method = "GET", target = "/" }: Parity.Request): HttpRequest.HttpRequest =>
  HttpRequest.fromRaw(
    method,
    target,
    headers.flatMap((line) => {
      const colon = line.indexOf(":")
      return [line.slice(0, colon), line.slice(colon + 1).trim()]
    })
  )

/** The sidecar of the application makes the path canonical. */
const canonical = (path: string): string => {
  const normalized = PathNormalization.normalize(path)
  return normalized._tag === "Path" ? normalized.path : path
}

const headerOf = (lines: ReadonlyArray<string>, name: string): string | undefined =>
  lines.find((line) => line.toLowerCase().startsWith(`${name}: `))?.slice(name.length + 2)

describe("HttpRoutes", () => {
  it("rewrites to nothing that a request line can not say", () => {
    const router = {
      Kind: "service-router",
      Name: "billing",
      Routes: [{ Match: { HTTP: { PathPrefix: "/a" } }, Destination: { PrefixRewrite: "/x y\r\nz" } }]
    }
    const routes = Result.getOrThrow(HttpRoutes.compile(Parity.compile("billing", [router])))
    const route = routes.find(HttpRequest.make("GET", "/a/b"))
    assert.strictEqual(HttpRoutes.rewritten(route!, "/a/b"), "/x%20y%0D%0Az/b")
  })

  it.each([
    [":method", "POST", "HEAD"],
    [":path", "/a?b=1", "/a"],
    [":authority", "a.test", "b.test"]
  ])("looks at the request line under the name %s", (name, value, other) => {
    const router = {
      Kind: "service-router",
      Name: "billing",
      Routes: [{ Match: { HTTP: { Header: [{ Name: name, Exact: value }] } }, Destination: { RequestTimeout: "1s" } }]
    }
    const routes = Result.getOrThrow(HttpRoutes.compile(Parity.compile("billing", [router])))
    const request = (text: string) =>
      HttpRequest.make(
        name === ":method" ? text : "GET",
        name === ":path" ? text : "/",
        { host: name === ":authority" ? text : "c.test" }
      )
    assert.strictEqual(routes.find(request(value)), routes.routes[0])
    assert.strictEqual(routes.find(request(other)), routes.routes[1])
  })

  describe("takes the routes that real sidecars take", () => {
    for (const { config = [], name, requests } of Parity.scenarios("routing")) {
      it(name, () => {
        for (const request of requests) {
          const [seen, ...more] = request.expect.seen ?? []
          if (seen === undefined || more.length > 0) continue
          const routes = Result.getOrThrow(HttpRoutes.compile(Parity.compile(request.to, config)))
          const route = routes.find(requestOf(request))
          assert.isDefined(route)
          const leg = HttpRoutes.draw(route!, Math.random)
          const { service, subset } = serviceOf(leg)
          const set = route!.changes.request?.said.Set["x-route"]
          assert.deepStrictEqual(
            [`${service}-${subset}`, canonical(HttpRoutes.rewritten(route!, request.target ?? "/")), set],
            [seen.instance, seen.target, headerOf(seen.headers, "x-route")],
            JSON.stringify(request)
          )
        }
      })
    }
  })

  const compiled = (config: ReadonlyArray<Schema.JsonObject>) =>
    Result.getOrThrow(HttpRoutes.compile(Parity.compile("billing", config)))
  const routeOf = (destination: Schema.JsonObject) =>
    compiled([{ Kind: "service-router", Name: "billing", Routes: [{ Destination: destination }] }]).routes[0]!

  it.each([
    [{}, 15_000, 300_000],
    [{ RequestTimeout: "3s", IdleTimeout: "1m" }, 3000, 60_000],
    [{ RequestTimeout: "-1s", IdleTimeout: "-1s" }, undefined, undefined]
  ])("takes the times of %j", (destination, request, idle) => {
    const { idleTimeoutMillis, requestTimeoutMillis } = routeOf(destination)
    assert.deepStrictEqual([requestTimeoutMillis, idleTimeoutMillis], [request, idle])
  })

  it("minds the request timeout of a resolver only where the chain starts there", () => {
    const resolver = { Kind: "service-resolver", Name: "billing", RequestTimeout: "2s" }
    const splitter = { Kind: "service-splitter", Name: "billing", Splits: [{ Weight: 100 }] }
    assert.strictEqual(compiled([resolver]).routes[0]?.requestTimeoutMillis, 2000)
    assert.strictEqual(compiled([resolver, splitter]).routes[0]?.requestTimeoutMillis, 15_000)
  })

  it.each([
    [{ NumRetries: 5 }, undefined],
    [{ RetryOn: ["5xx"] }, [1, "5xx"]],
    [{ NumRetries: 3, RetryOnConnectFailure: true, RetryOnStatusCodes: [503] }, [3, "connect-failure", 503]]
  ])("retries only on conditions: %j", (destination, expected) => {
    const { retry } = routeOf(destination)
    assert.deepStrictEqual(retry && [retry.times, ...retry.on, ...retry.onStatus], expected)
  })

  it("takes no request that asks for no path", () => {
    assert.isUndefined(compiled([]).find(HttpRequest.fromRaw("OPTIONS", "*", [])))
  })

  it("says which expression of which route can not be used", () => {
    const chain = Parity.compile("billing", [
      {
        Kind: "service-router",
        Name: "billing",
        Routes: [{ Match: { HTTP: { PathPrefix: "/" } } }, { Match: { HTTP: { PathRegex: "(" } } }]
      }
    ])
    assert.match(String(Result.getFailure(HttpRoutes.compile(chain))), /route 2 of billing: the expression \( can not/)
  })

  describe("splits as real sidecars do", () => {
    for (const { config = [], name, requests } of Parity.scenarios("splitter")) {
      for (const request of requests) {
        const { expect: { counts, tolerance = 0 }, target, to } = request
        if (counts === undefined) continue
        it(`${name}: ${to} ${target}`, () => {
          const routes = Result.getOrThrow(HttpRoutes.compile(Parity.compile(to, config)))
          const route = routes.find(requestOf(request))!
          const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
          const drawn: Record<string, number> = {}
          // Evenly, so that shares come out as they are.
          for (let i = 0; i < all; i++) {
            const { service, subset } = serviceOf(HttpRoutes.draw(route, () => (i + 0.5) / all))
            const who = service === "ghost" ? "status 503" : `${service}-${subset}`
            drawn[who] = (drawn[who] ?? 0) + 1
          }
          assert.sameMembers(Object.keys(drawn), Object.keys(counts))
          for (const [who, count] of Object.entries(counts)) assert.approximately(drawn[who]!, count, tolerance)
        })
      }
    }
  })

  it.prop(
    "draws legs in proportion to their weights",
    { weights: Schema.Array(Schema.Literals([0, 1, 2.5, 10, 33.33])) },
    ({ weights }) => {
      const sum = weights.reduce<number>((sum, weight) => sum + weight, 0)
      if (weights.length < 2 || sum === 0) return
      const legs = weights.map((weight, position) => ({ weight: Math.round(weight * 100), position }))
      const counts = weights.map((): number => 0)
      for (let i = 0; i < 1000; i++) counts[HttpRoutes.drawFrom(legs, () => i / 1000)!.position]!++
      weights.forEach((weight, i) => assert.approximately(counts[i]!, weight / sum * 1000, 1))
    }
  )
})

/** Applications are named after the service and a number, or their subset. */
const serviceOf = (leg: HttpRoutes.Leg | undefined) => {
  const target = leg?.to.targets[0]
  return {
    service: target?.service,
    subset: target?.filter === "" ? "1" : target?.filter.split(" ").at(-1)
  }
}
