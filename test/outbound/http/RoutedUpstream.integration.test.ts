/** Requests that go by routers and splitters, between services that speak through this package. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Result, type Schema } from "effect"
import { HttpClientRequest, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as ChainsOf from "../../../src/agent/chain/ChainsOf.ts"
import type * as MeshHttpClient from "../../../src/native/MeshHttpClient.ts"
import * as Certificates from "../../support/certificates.ts"
import * as HttpMesh from "../../support/httpMesh.ts"
import * as Mesh from "../../support/mesh.ts"

const services = ["shop", "next", "office", "ghost"]
const defaults = services.map((Name) => ({ Kind: "service-defaults", Name, Protocol: "http" }))

const chainOf = (...entries: ReadonlyArray<Schema.JsonObject>) =>
  Result.getOrThrow(Result.flatMap(
    ChainsOf.make([...defaults, ...entries], { trustDomain: Certificates.trustDomain }),
    (chains) => chains("shop")
  ))

const router = (...Routes: ReadonlyArray<Schema.JsonObject>) => ({ Kind: "service-router", Name: "shop", Routes })
const splitter = (...weights: ReadonlyArray<readonly [service: string, weight: number]>) => ({
  Kind: "service-splitter",
  Name: "shop",
  Splits: weights.map(([Service, Weight]) => ({ Service, Weight }))
})

/** Says who answers, and what it was asked. */
const echo = (name: string) =>
  Effect.map(
    HttpServerRequest.HttpServerRequest,
    ({ headers, url }) =>
      HttpServerResponse.text(`${name} ${url} ${headers["x-set"] ?? "-"}`, { headers: { "x-answer": "application" } })
  )

/** One instance each of three services, and a client of a fourth. `ghost` has none. */
const shops = Effect.fnUntraced(function*(
  chain: ReturnType<typeof chainOf>,
  handlers: Readonly<Record<string, ReturnType<typeof echo>>> = {},
  options?: MeshHttpClient.Options
) {
  const authority = yield* HttpMesh.authorityOf
  const ports = yield* Effect.forEach(["shop", "next", "office"], (name) =>
    Effect.gen(function*() {
      const member = yield* Mesh.member(name, authority)
      const { port } = yield* HttpMesh.instance(member, name, handlers[name] ?? echo(name))
      return [`${name}.default`, [Mesh.endpoint(port)]] as const
    }))
  const discovery = yield* Mesh.discovery({ ...Object.fromEntries(ports), "ghost.default": [] })
  yield* discovery.setChain("shop", chain)
  const client = yield* HttpMesh.client(authority, discovery.layer, options)
  return { ...client, ...discovery }
})

describe("requests for a service with routes", () => {
  it.live("take the first route whose conditions hold, to the service that it names", () =>
    Effect.gen(function*() {
      const { get, http } = yield* shops(chainOf(router(
        { Match: { HTTP: { PathPrefix: "/admin" } }, Destination: { Service: "office" } },
        { Match: { HTTP: { Header: [{ Name: "x-tester", Exact: "yes" }] } }, Destination: { Service: "next" } }
      )))
      assert.strictEqual(yield* get("http://shop/"), "shop / -")
      assert.strictEqual(yield* get("http://shop/admin?a=b"), "office /admin?a=b -")
      const tester = HttpClientRequest.get("http://shop/x", { headers: { "x-tester": "yes" } })
      assert.strictEqual(yield* Effect.flatMap(http.execute(tester), ({ text }) => text), "next /x -")
    }))

  it.live("name their host to the rules of a route, as the instance hears it", () =>
    Effect.gen(function*() {
      const { get } = yield* shops(chainOf(router({
        Destination: { RequestHeaders: { Set: { "x-set": "%REQ(:AUTHORITY)%" } } }
      })))
      assert.strictEqual(yield* get("http://shop/x"), "shop /x shop")
    }))

  it.live("are changed on their way, and so are their answers", () =>
    Effect.gen(function*() {
      const { http } = yield* shops(chainOf(router({
        Match: { HTTP: { PathPrefix: "/old/" } },
        Destination: {
          PrefixRewrite: "/new/",
          RequestHeaders: { Set: { "x-set": "%REQ(:PATH)%" } },
          ResponseHeaders: { Set: { "x-answer": "%RESPONSE_CODE% of %UPSTREAM_CLUSTER%" } }
        }
      })))
      const response = yield* http.get("http://shop/old/x?y")
      assert.strictEqual(yield* response.text, "shop /new/x?y /old/x?y")
      assert.strictEqual(
        response.headers["x-answer"],
        `200 of shop.default.dc1.internal.${Certificates.trustDomain}`
      )
    }))

  it.live("get a cookie to balance by where they bring none, whoever asks", () =>
    Effect.gen(function*() {
      const { dispatcher, http } = yield* shops(chainOf({
        Kind: "service-resolver",
        Name: "shop",
        LoadBalancer: {
          Policy: "maglev",
          HashPolicies: [{ Field: "cookie", FieldValue: "lb", CookieConfig: { TTL: "60s", Path: "/p" } }]
        }
      }))
      const made = /^lb="[0-9a-f]{16}"; Max-Age=60; Path=\/p; HttpOnly$/
      assert.match((yield* http.get("http://shop/")).headers["set-cookie"] ?? "", made)
      const fetched = yield* Effect.promise(() => HttpMesh.fetchBy(dispatcher, "http://shop/"))
      assert.match(fetched.headers.get("set-cookie") ?? "", made)
      assert.strictEqual(yield* Effect.promise(() => fetched.text()), "shop / -")
      const known = yield* http.get("http://shop/", { headers: { cookie: "lb=known" } })
      assert.isUndefined(known.headers["set-cookie"])
    }))

  it.live("are changed on their way for fetch too", () =>
    Effect.gen(function*() {
      const { dispatcher } = yield* shops(chainOf(router({
        Destination: { ResponseHeaders: { Set: { "x-answer": "route" }, Remove: ["content-type"] } }
      })))
      const { headers, text } = yield* Effect.promise(async () => {
        const response = await HttpMesh.fetchBy(dispatcher, "http://shop/")
        return { headers: response.headers, text: await response.text() }
      })
      assert.deepStrictEqual([headers.get("x-answer"), headers.get("content-type"), text], ["route", null, "shop / -"])
    }))

  it.live("are split by weight, and a leg without instances fails its share only", () =>
    Effect.gen(function*() {
      const { get, http, setChain } = yield* shops(chainOf(splitter(["shop", 50], ["ghost", 50])))
      const outcomes = yield* Effect.forEach(Array.from({ length: 40 }), () =>
        Effect.match(get("http://shop/"), { onSuccess: (text) => text, onFailure: () => "failed" }))
      assert.sameMembers([...new Set(outcomes)], ["shop / -", "failed"])
      const failure = yield* Effect.retry(HttpMesh.failureOf(http.get("http://shop/")), { times: 50 })
      assert.strictEqual(failure.reason._tag, "NoHealthyInstance")

      yield* setChain("shop", chainOf(splitter(["next", 100], ["shop", 0])))
      const moved = yield* Effect.repeat(get("http://shop/"), {
        until: (text) =>
          text.startsWith("next")
      })
      assert.strictEqual(moved, "next / -")
      const after = yield* Effect.forEach(Array.from({ length: 20 }), () => get("http://shop/"))
      assert.deepStrictEqual([...new Set(after)], ["next / -"])
    }))

  it.live("are finished where they went, when the chain leads elsewhere", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      const slow = Deferred.succeed(begun, undefined).pipe(
        Effect.andThen(Deferred.await(release)),
        Effect.as(HttpServerResponse.text("finished"))
      )
      const { get, setChain } = yield* shops(chainOf(splitter(["next", 100])), { next: slow })
      const waiting = yield* Effect.forkChild(get("http://shop/"))
      yield* Deferred.await(begun)
      yield* setChain("shop", chainOf())
      yield* Effect.repeat(get("http://shop/"), { until: (text) => text.startsWith("shop") })
      yield* Deferred.succeed(release, undefined)
      assert.strictEqual(yield* Fiber.join(waiting), "finished")
    }))

  it.live("go on by the last chain that could be followed, until there is another one", () =>
    Effect.gen(function*() {
      const { get, setChain } = yield* shops(chainOf())
      assert.strictEqual(yield* get("http://shop/"), "shop / -")
      yield* setChain("shop", chainOf(router({ Match: { HTTP: { PathRegex: "(" } } })))
      assert.strictEqual(yield* get("http://shop/"), "shop / -")
      yield* setChain("shop", chainOf(splitter(["next", 100])))
      yield* Effect.repeat(get("http://shop/"), { until: (text) => text === "next / -" })
    }))

  it.live("are counted for the service that was asked for", () =>
    Effect.gen(function*() {
      const { dispatcher, get } = yield* shops(chainOf(router({ Destination: { Service: "next" } })))
      assert.strictEqual(yield* get("http://shop/"), "next / -")
      assert.deepStrictEqual(dispatcher.stats().requests, { "web shop 200": 1 })
      assert.deepStrictEqual([dispatcher.stats().services, dispatcher.stats().active], [1, 0])
    }))
})
