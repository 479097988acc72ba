import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import * as Mesh from "../../src/cli/up/Mesh.ts"
import * as consul from "../support/consul.ts"
import * as temporary from "../support/temporary.ts"

const application = Effect.acquireRelease(
  Effect.callback<Http.Server>((resume) => {
    const server = Http.createServer((request, response) =>
      response.end(String(request.headers["x-forwarded-client-cert"] ?? "nobody"))
    )
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
).pipe(Effect.map((server) => (server.address() as AddressInfo).port))

const ask = (port: number) =>
  Effect.tryPromise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/`)
    return { status: response.status, text: await response.text() }
  })

describe("effect-mesh up", () => {
  for (
    const settings of [{ proxy: "envoy" }, { proxies: { web: "envoy" } }, { proxies: { api: "envoy" } }] as const
  ) {
    it.live(`runs a mesh in which sidecars are Envoys: ${JSON.stringify(settings)}`, () =>
      Effect.gen(function*() {
        const port = yield* application
        const [web = 0, api = 0, upstream = 0] = yield* Effect.all([
          consul.freePort,
          consul.freePort,
          consul.freePort
        ])
        const path = join(yield* temporary.folder, "mesh.json")
        writeFileSync(
          path,
          JSON.stringify({
            ...settings,
            services: [
              { name: "api", port, connect: { sidecar_service: { port: api } } },
              {
                name: "web",
                port: 1,
                connect: {
                  sidecar_service: {
                    port: web,
                    proxy: { upstreams: [{ destination_name: "api", local_bind_port: upstream }] }
                  }
                }
              }
            ],
            config_entries: {
              bootstrap: ["api", "web"].map((name) => ({ kind: "service-defaults", name, protocol: "http" }))
            }
          })
        )
        const mesh = yield* Mesh.make({ files: [path], agentPort: 0, envoyBinary: process.env["ENVOY_BIN"]! }).pipe(
          Effect.provide(NodeServices.layer)
        )
        const answer = yield* consul.eventually(
          Effect.filterOrFail(ask(upstream), ({ status }) => status === 200, () => "not yet"),
          30
        )
        assert.match(answer.text, /URI=spiffe:\/\/.*\/svc\/web/)
        yield* mesh.consul.call("PUT", (api) =>
          api.config.write({
            query: {},
            payload: { Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Action: "deny" }] }
          }))
        const refused = yield* consul.eventually(
          Effect.filterOrFail(ask(upstream), ({ status }) => status === 403, () => "not yet"),
          30
        )
        assert.include(refused.text, "RBAC: access denied")
        // Without an agent everything goes on as it was.
        yield* mesh.agent!.stop
        assert.strictEqual((yield* ask(upstream)).status, 403)
      }).pipe(Effect.scoped))
  }
})
