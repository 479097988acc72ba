import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Mesh from "../../../src/cli/up/Mesh.ts"
import * as ConsulSidecar from "../../../src/sidecar/ConsulSidecar.ts"
import * as consul from "../../support/consul.ts"
import * as temporary from "../../support/temporary.ts"

const up = Effect.fnUntraced(function*(file: Schema.JsonObject, options: Partial<Mesh.Options> = {}) {
  const path = join(yield* temporary.folder, "mesh.json")
  writeFileSync(path, JSON.stringify(file))
  return yield* Mesh.make({ files: [path], agentPort: 0, ...options })
}, Effect.provide(NodeServices.layer))

describe("up", () => {
  it.live("runs a proxy that is registered by itself, and says where its application is", () =>
    Effect.gen(function*() {
      const port = yield* consul.freePort
      const proxy = { destination_service_name: "old", local_service_port: 9000 }
      const { sidecars } = yield* up({
        services: [{ name: "old", port: 9000 }, { kind: "connect-proxy", name: "old-proxy", port, proxy }]
      })
      const described = sidecars.map(({ sidecar }) => ConsulSidecar.describe(sidecar)).join("\n")
      assert.match(described, /^old-proxy is spiffe:.*\/svc\/old$/m)
      assert.include(described, `0.0.0.0:${port} → the application old at 127.0.0.1:9000`)
    }))

  it.live("says what to do where the file asks for an Envoy and there is none", () =>
    Effect.gen(function*() {
      const port = yield* consul.freePort
      const file = {
        service: { name: "web", port: 9000, connect: { sidecar_service: { port } } },
        proxy: "envoy"
      }
      const { message } = yield* Effect.flip(up(file, { envoyBinary: "/no/such/envoy" }))
      assert.include(message, "/no/such/envoy cannot be started")
      assert.include(message, "Install Envoy, or name it with --envoy-binary")
    }))

  it.live("says that checks run no programs, and how they may", () =>
    Effect.gen(function*() {
      const file = { service: { name: "web", port: 9000, checks: [{ args: ["true"], interval: "5s" }] } }
      assert.match(
        (yield* Effect.flip(up(file))).message,
        /^the service web: it has a script check, .*Start `up` with --enable-script-checks/
      )
      yield* up(file, { enableScriptChecks: true })
    }))
})
