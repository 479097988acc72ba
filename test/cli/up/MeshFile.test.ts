import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { readFileSync } from "node:fs"
import * as Definitions from "../../../src/cli/up/Definitions.ts"
import * as MeshFile from "../../../src/cli/up/MeshFile.ts"

const read = (text: string) =>
  Result.flatMap(MeshFile.parse("mesh.json", text), (file) => Definitions.read(file, "mesh.json"))

const refusal = (value: unknown): string => {
  const result = read(typeof value === "string" ? value : JSON.stringify(value))
  return Result.isFailure(result) ? result.failure.message : "accepted"
}

describe("MeshFile", () => {
  it("reads the quickstart", () => {
    const path = new URL("../../../examples/quickstart/mesh.json", import.meta.url).pathname
    const { applications, configEntries, services } = Result.getOrThrow(read(readFileSync(path, "utf8")))
    assert.deepStrictEqual(services.map(Definitions.id), ["web", "api", "billing"])
    assert.deepStrictEqual(services.map(Definitions.proxyId), [
      "web-sidecar-proxy",
      "api-sidecar-proxy",
      "billing-sidecar-proxy"
    ])
    assert.deepStrictEqual(configEntries.map((entry) => [entry.Kind, entry.Name]), [
      ["service-intentions", "api"],
      ["service-intentions", "billing"]
    ])
    assert.deepStrictEqual(applications[0]?.env, {
      PORT: "9101",
      MESH_SERVICE: "web",
      MESH_UPSTREAM_API: "127.0.0.1:9201",
      MESH_UPSTREAM_BILLING: "127.0.0.1:9202"
    })
  })

  it("takes a proxy that is registered by itself for the proxy of its service", () => {
    const proxy = {
      kind: "connect-proxy",
      name: "old-proxy",
      port: 21_001,
      proxy: {
        destination_service_name: "old",
        local_service_port: 9000,
        upstreams: [{ destination_name: "api", local_bind_port: 9191 }]
      }
    }
    const file = { services: [{ name: "old", port: 9000 }, proxy], applications: { old: { command: ["true"] } } }
    const { applications, services } = Result.getOrThrow(read(JSON.stringify(file)))
    assert.deepStrictEqual(services.map(Definitions.proxyId), [undefined, "old-proxy"])
    assert.strictEqual(applications[0]?.env["MESH_UPSTREAM_API"], "127.0.0.1:9191")
  })

  it("registers checks under the names that an agent's API has for what files say", () => {
    const check = { id: "c", args: ["/bin/true"], interval: "5s" }
    const { services } = Result.getOrThrow(read(JSON.stringify({ service: { name: "web", checks: [check] } })))
    assert.deepStrictEqual(services[0]?.Checks, [{ CheckID: "c", ScriptArgs: ["/bin/true"], Interval: "5s" }])
  })

  it("writes entries in the order in which Consul accepts them", () => {
    const bootstrap = ["service-intentions", "service-router", "service-defaults", "proxy-defaults", "unknown"].map((
      kind
    ) => ({ kind, name: "web" }))
    const { configEntries } = Result.getOrThrow(read(JSON.stringify({ config_entries: { bootstrap } })))
    assert.deepStrictEqual(configEntries.map(({ Kind }) => Kind), [
      "proxy-defaults",
      "service-defaults",
      "service-router",
      "service-intentions",
      "unknown"
    ])
  })

  it("says where a syntax error is", () => {
    assert.strictEqual(
      refusal("{\n  \"services\": [\n    {\"name\": }\n  ]\n}"),
      "mesh.json: not JSON: Value expected at line 3, column 14"
    )
    assert.match(refusal("{"), /^mesh.json: not JSON: .* at line 1, column 2$/)
    assert.match(refusal(""), /^mesh.json: not JSON/)
  })

  it("refuses what it does not know, by name", () => {
    assert.match(refusal({ servicez: [] }), /servicez/)
    assert.match(refusal({ services: [{ name: "web", prot: 80 }] }), /service 1: unknown key prot/)
    assert.match(
      refusal({ services: [{ name: "web", port: "80x" }] }),
      /service 1: port is "80x", and a int was expected|service 1: Port is/i
    )
    assert.match(refusal({ services: [{ port: 80 }] }), /Name/)
    assert.match(refusal({ config_entries: { bootstrap: [{ name: "web" }] } }), /config entry 1 has no "kind"/)
  })

  it("refuses two services with one id, and an application without a service", () => {
    assert.match(refusal({ services: [{ name: "web" }, { name: "web" }] }), /two services have the id web/)
    assert.match(
      refusal({ service: { name: "web" }, applications: { wep: { command: ["node"] } } }),
      /an application for wep, but no service with that id: it is one of web/
    )
  })

  it.effect("says which file cannot be read", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(MeshFile.load(["/none/mesh.json"]))
      assert.match(error.message, /^\/none\/mesh.json: ENOENT/)
    }))
})
