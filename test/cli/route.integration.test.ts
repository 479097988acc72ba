import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import { route } from "../../src/cli/route.ts"
import { runCommand } from "../support/policyCommand.ts"
import * as temporary from "../support/temporary.ts"

const run = runCommand(route)

const entries = [
  { Kind: "service-defaults", Name: "api", Protocol: "http" },
  {
    Kind: "service-resolver",
    Name: "api",
    Subsets: { v1: { Filter: "Service.Meta.version == v1" }, v2: { Filter: "Service.Meta.version == v2" } },
    DefaultSubset: "v1"
  },
  {
    Kind: "service-router",
    Name: "api",
    Routes: [
      {
        Match: { HTTP: { PathPrefix: "/v2/", Header: [{ Name: "x-tester", Present: true }] } },
        Destination: { ServiceSubset: "v2", PrefixRewrite: "/" }
      }
    ]
  },
  {
    Kind: "service-splitter",
    Name: "api",
    Splits: [{ Weight: 90, ServiceSubset: "v1" }, { Weight: 10, ServiceSubset: "v2" }]
  }
]

const files = Effect.map(temporary.folder, (folder) => {
  writeFileSync(join(folder, "mesh.json"), JSON.stringify(entries))
  return folder
})

describe("effect-mesh route", () => {
  it.effect("tells which route takes a request, what becomes of its path, and where it goes", () =>
    Effect.gen(function*() {
      const { code, out } = yield* run({}, "api", "GET", "/v2/x?y", "--header", "X-Tester: 1", "-f", yield* files)
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(out.trimEnd().split("\n").map((line) => line.trim().replace(/ +/g, " ")), [
        "GET /v2/x?y for api",
        "route 1 yes path starts with /v2/; header x-tester is present",
        "sent on as /x?y",
        "answered within 15 s, cut after 300 s of silence",
        "goes to 100 % api where Service.Meta.version == v2 in dc1; connecting within 5 s"
      ])
    }))

  it.effect("tells why a route does not take it, and how it is split", () =>
    Effect.gen(function*() {
      const { out } = yield* run({}, "api", "GET", "/v2/x", "-f", yield* files, "--json")
      const { passed, taken } = JSON.parse(out)
      assert.deepStrictEqual(passed, [{ route: 1, unmet: "header x-tester is present" }])
      assert.deepStrictEqual(
        taken.legs.map(({ share, targets }: { share: number; targets: ReadonlyArray<{ filter: string }> }) => [
          share,
          targets[0]?.filter
        ]),
        [[0.9, "Service.Meta.version == v1"], [0.1, "Service.Meta.version == v2"]]
      )
    }))

  it.effect("ends with 2 where no route takes it, and says what to do where nothing is routed by request", () =>
    Effect.gen(function*() {
      const folder = yield* files
      assert.strictEqual((yield* run({}, "api", "OPTIONS", "*", "-f", folder)).code, 2)
      const tcp = yield* run({}, "db", "GET", "/", "-f", folder)
      assert.strictEqual(tcp.code, 1)
      assert.include(tcp.err, "db speaks tcp")
      assert.include(tcp.err, "service-defaults")
    }))

  it.effect.each(
    [
      [["/v2/x"], /"\/v2\/x" is no method .*SERVICE METHOD PATH/],
      [["get", "/"], /"get" is no method/],
      [["GET", "v2/x"], /"v2\/x" is no path/],
      [["GET", ""], /"" is no path/],
      [["GET", "/a b"], /"\/a b" is no path/]
    ] as const
  )("answers nothing about a request that nobody can send: %j", ([asked, why]) =>
    Effect.gen(function*() {
      const { code, err } = yield* run({}, "api", ...asked, "-f", yield* files)
      assert.strictEqual(code, 1)
      assert.match(err, why)
    }))

  it.effect("says which entries an agent would refuse", () =>
    Effect.gen(function*() {
      const folder = yield* temporary.folder
      const splitter = { Kind: "service-splitter", Name: "api", Splits: [{ Weight: 50 }] }
      writeFileSync(join(folder, "mesh.json"), JSON.stringify([splitter]))
      const { code, err } = yield* run({}, "api", "-f", folder)
      assert.strictEqual(code, 1)
      assert.match(err, /service-splitter api: .*sum/)
    }))

  it.live("asks the agent, and tells which instances are reached", () =>
    Effect.gen(function*() {
      const { address } = yield* DevelopmentAgent.make({ port: 0 })
      const put = (path: string, body: object) =>
        Effect.promise(() => fetch(`${address}${path}`, { method: "PUT", body: JSON.stringify(body) }))
      for (const entry of entries) yield* put("/v1/config", entry)
      for (const [id, version] of [["one", "v1"], ["two", "v2"], ["three", "v2"]]) {
        const check = id === "three" ? { Check: { TTL: "1h" } } : {}
        const service = { ID: id, Name: "api", Address: "127.0.0.1", Port: 9000, Meta: { version } }
        yield* put("/v1/agent/service/register", { ...service, ...check, Connect: { Native: true } })
      }
      const request = ["api", "GET", "/v2/x", "--header", "x-tester: 1"]
      const { out } = yield* run({ CONSUL_HTTP_ADDR: address }, ...request, "--json")
      const [leg] = JSON.parse(out).taken.legs
      assert.match(leg.instances[0].id, /\/two$/)
      assert.strictEqual(leg.instances[0].share, 1)
      assert.match(leg.unhealthy[0].why, /is critical/)
    }))
})
