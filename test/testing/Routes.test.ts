import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Routes from "../../src/testing/Routes.ts"
import * as temporary from "../support/temporary.ts"

const entries = [
  { Kind: "service-defaults", Name: "shop", Protocol: "http" },
  { Kind: "service-defaults", Name: "shop-next", Protocol: "http" },
  { Kind: "service-defaults", Name: "back-office", Protocol: "http" },
  {
    Kind: "service-router",
    Name: "shop",
    Routes: [
      { Match: { HTTP: { PathPrefix: "/admin", Methods: ["GET"] } }, Destination: { Service: "back-office" } },
      { Match: { HTTP: { Header: [{ Name: "x-tester", Exact: "yes" }] } }, Destination: { Service: "shop-next" } },
      { Match: { HTTP: { QueryParam: [{ Name: "beta", Present: true }] } }, Destination: { Service: "shop-next" } }
    ]
  }
]
const routes = Routes.fromEntries(entries)

const reaches = (service: string, isMeant: (path: string) => boolean) =>
  Routes.law(
    routes,
    "shop",
    (explanation) =>
      Routes.services(explanation).includes(service) && !isMeant(explanation.request.path)
        ? `reaches ${service}`
        : undefined
  )

describe("Routes", () => {
  it("tells where a request goes", () => {
    const to = (request: Routes.Request) => Routes.services(Routes.explain(routes, "shop", request))
    assert.deepStrictEqual(to({}), ["shop"])
    assert.deepStrictEqual(to({ path: "/admin/x" }), ["back-office"])
    assert.deepStrictEqual(to({ path: "/admin/x", method: "POST" }), ["shop"])
    assert.deepStrictEqual(to({ headers: { "X-Tester": ["no", "yes"] } }), ["shop-next"])
    assert.deepStrictEqual(to({ path: "/?beta" }), ["shop-next"])
  })

  it.prop("only /admin reaches the back office", ...reaches("back-office", (path) => path.startsWith("/admin")))

  it.effect("finds the smallest request for which a law does not hold", () =>
    Effect.gen(function*() {
      const [arbitraries, test] = reaches("back-office", (path) => path.startsWith("/admin/"))
      const result = yield* Arbitrary.checkEffect(Arbitrary.all(arbitraries), (input) =>
        Effect.sync(() =>
          test(input)
        ).pipe(
          Effect.as(true),
          Effect.catchDefect(() => Effect.succeed(false))
        ), { runs: 500, seed: 1 })
      assert(result._tag === "Falsified")
      assert.deepStrictEqual(result.shrunkInput.request, { method: "GET", path: "/admin", headers: {} })
    }))

  it.effect("draws requests for every route", () =>
    Effect.gen(function*() {
      const drawn = yield* Arbitrary.sampleEffect(Routes.requests(routes, "shop"), { count: 300, seed: 3 })
      const taken = new Set(drawn.map((request) => Routes.explain(routes, "shop", request).taken?.route.position))
      assert.deepStrictEqual([...taken].toSorted(), [0, 1, 2, 3])
    }))

  it.effect("reads files, and says what an agent would refuse", () =>
    Effect.gen(function*() {
      const folder = yield* temporary.folder
      writeFileSync(join(folder, "mesh.json"), JSON.stringify(entries))
      assert.deepStrictEqual(Routes.services(Routes.explain(Routes.read(folder), "shop", {})), ["shop"])
      assert.throws(
        () => Routes.fromEntries(entries.slice(1)),
        /agent would refuse these entries:\nservice-router shop/
      )
      assert.throws(() => Routes.read(join(folder, "none")), /can not be read/)
    }))
})
