import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
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
    const path = fileURLToPath(new URL("../../../examples/quickstart/mesh.json", import.meta.url))
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

  it("says which services have an Envoy beside them", () => {
    const services = [{ name: "web", port: 1 }, { name: "api", port: 2 }]
    const kinds = (settings: object) => {
      const definitions = Result.getOrThrow(read(JSON.stringify({ services, ...settings })))
      return definitions.services.map(definitions.proxyOf)
    }
    assert.deepStrictEqual(kinds({}), ["effect-mesh", "effect-mesh"])
    assert.deepStrictEqual(kinds({ proxy: "envoy" }), ["envoy", "envoy"])
    assert.deepStrictEqual(kinds({ proxies: { api: "envoy" } }), ["effect-mesh", "envoy"])
    assert.deepStrictEqual(kinds({ proxy: "envoy", proxies: { api: "effect-mesh" } }), ["envoy", "effect-mesh"])
    assert.include(refusal({ services, proxies: { db: "envoy" } }), "\"proxies\" names db, and no service has that id")
    assert.notStrictEqual(refusal({ services, proxy: "nginx" }), "accepted")
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

  it("reads HCL as people write it, and the same as JSON", () => {
    const hcl = `
      datacenter = "dc2"
      service {
        name = "web"
        port = 9101
        tags = ["one"]
        meta { team = "shop" }
        connect {
          sidecar_service {
            proxy {
              upstreams { destination_name = "api" local_bind_port = 9201 }
              upstreams = [{ destination_name = "db", local_bind_port = 9202 }]
            }
          }
        }
        check { http = "http://127.0.0.1:9101/" interval = "5s" }
      }
      services { name = "api" }
      services { name = "db" }
      config_entries {
        bootstrap { kind = "service-intentions" name = "api" sources { name = "web" action = "allow" } }
      }
      applications { web { command = ["node"] env { A = "1" } } }
    `
    const json = {
      datacenter: "dc2",
      service: {
        name: "web",
        port: 9101,
        tags: ["one"],
        meta: { team: "shop" },
        connect: {
          sidecar_service: {
            proxy: {
              upstreams: [
                { destination_name: "api", local_bind_port: 9201 },
                { destination_name: "db", local_bind_port: 9202 }
              ]
            }
          }
        },
        check: { http: "http://127.0.0.1:9101/", interval: "5s" }
      },
      services: [{ name: "api" }, { name: "db" }],
      applications: { web: { command: ["node"], env: { A: "1" } } }
    }
    const [fromHcl, fromJson] = [
      Result.getOrThrow(MeshFile.parse("mesh.hcl", hcl)),
      Result.getOrThrow(MeshFile.parse("mesh.json", JSON.stringify(json)))
    ]
    assert.deepStrictEqual({ ...fromHcl, services: [], configEntries: [] }, { ...fromJson, services: [] })
    const [a, b] = [Definitions.read(fromHcl, "mesh.hcl"), Definitions.read(fromJson, "mesh.json")].map(
      Result.getOrThrow
    )
    assert.deepStrictEqual(a!.services, b!.services)
    assert.deepStrictEqual(a!.applications, b!.applications)
    assert.deepStrictEqual(a!.configEntries.map(({ Kind, Name }) => [Kind, Name]), [["service-intentions", "api"]])
  })

  it("takes config entries that stand alone, and resources of Kubernetes, and notes those of others", () => {
    const file = Result.getOrThrow(MeshFile.parse(
      "mesh.yaml",
      "services: [{ name: web }]\n---\nkind: mesh\nhttp: { sanitize_x_forwarded_client_cert: true }\n---\n" +
        "apiVersion: consul.hashicorp.com/v1alpha1\nkind: ServiceDefaults\nmetadata: { name: web }\n" +
        "spec: { protocol: http }\n---\napiVersion: v1\nkind: Service\nmetadata: { name: web }\n"
    ))
    const { configEntries, services } = Result.getOrThrow(Definitions.read(file, "mesh.yaml"))
    assert.deepStrictEqual(services.map(Definitions.id), ["web"])
    assert.deepStrictEqual(configEntries, [
      { Kind: "mesh", http: { sanitize_x_forwarded_client_cert: true } },
      { Kind: "service-defaults", Name: "web", protocol: "http" }
    ])
    assert.deepStrictEqual(file.notes, ["mesh.yaml:12:7: left out, being none of Consul's: Service web"])
  })

  it("says once which settings it reads, and leaves those of an agent alone", () => {
    const file = Result.getOrThrow(
      MeshFile.parse(
        "agent.hcl",
        "server = true\ndata_dir = \"/opt\"\nretry_join = [\"a\"]\nservice { name = \"web\" }"
      )
    )
    assert.deepStrictEqual(file.services, [{ name: "web" }])
    assert.deepStrictEqual(file.notes, [
      "agent.hcl: server, data_dir, retry_join belong to an agent, and are left alone; read are service, services, " +
      "config_entries, datacenter, node_name, default_intention_policy, proxy, proxies, applications"
    ])
    const misspelt = MeshFile.parse("agent.hcl", "servcie { name = \"web\" }")
    assert.match(
      Result.isFailure(misspelt) ? misspelt.failure.message : "accepted",
      /^agent\.hcl:1:1: the setting servcie is not known; correct it, or remove it: read are service, /
    )
  })

  it("says where a syntax error is", () => {
    assert.strictEqual(
      refusal("{\n  \"services\": [\n    {\"name\": }\n  ]\n}"),
      "mesh.json:3:14: not JSON: value expected; correct the syntax here or just before"
    )
    assert.match(refusal("{"), /^mesh\.json:1:2: not JSON: /)
    assert.match(refusal(""), /^mesh\.json:1:1: it is empty/)
  })

  it("refuses what it does not know, by name", () => {
    assert.match(refusal({ servicez: [] }), /servicez/)
    assert.match(refusal({ services: [{ name: "web", prot: 80 }] }), /service 1 \(mesh\.json:1:14\): unknown key prot/)
    assert.match(
      refusal({ services: [{ name: "web", port: "80x" }] }),
      /service 1 \(mesh\.json:1:14\): Port is "80x", and a int was expected/
    )
    assert.match(refusal({ services: [{ port: 80 }] }), /Name/)
    assert.match(
      refusal({ config_entries: { bootstrap: [{ name: "web" }] } }),
      /^mesh\.json:1:33: the field Kind is missing/
    )
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
