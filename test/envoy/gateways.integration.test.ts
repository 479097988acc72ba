import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Datacenters from "../../src/agent/Datacenters.ts"
import type * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as Run from "../../src/cli/envoy/Run.ts"
import * as Agent from "../parity/Agent.ts"
import * as consul from "../support/consul.ts"

const application = Effect.acquireRelease(
  Effect.callback<Http.Server>((resume) => {
    const server = Http.createServer((request, response) =>
      response.end(String(request.headers["x-forwarded-client-cert"] ?? "nobody"))
    )
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
).pipe(Effect.map((server) => (server.address() as AddressInfo).port))

const envoy = (agent: DevelopmentAgent.DevelopmentAgent, proxyId: string) =>
  Run.start({
    binary: process.env["ENVOY_BIN"]!,
    bootstrap: {
      proxyId,
      service: proxyId,
      datacenter: agent.datacenter,
      grpc: { host: "127.0.0.1", port: agent.grpcPort! },
      admin: { host: "127.0.0.1", port: 0 },
      adminAccessLog: "/dev/null",
      token: ""
    },
    args: ["--concurrency", "1", "-l", "error"],
    output: () => Effect.void
  })

const ask = (port: number) =>
  Effect.tryPromise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/`)
    return { status: response.status, text: await response.text() }
  })

describe("Envoys in two datacenters", () => {
  for (
    const [mode, callee, home, away] of [
      ["remote", "api", "dc1", "dc2"],
      ["local", "api", "dc1", "dc2"],
      ["local", "Api", "DC1", "DC2"]
    ] as const
  ) {
    it.live(`reach each other through mesh gateways that are Envoys, mode ${mode}: ${callee} in ${away}`, () =>
      Effect.gen(function*() {
        const { agents } = yield* Datacenters.make({ datacenters: [home, away], port: 0, grpcPort: 0 })
        const [here, there] = agents as unknown as readonly [
          DevelopmentAgent.DevelopmentAgent,
          DevelopmentAgent.DevelopmentAgent
        ]
        const port = yield* application
        const [web, api, upstream, ...gateways] = yield* Effect.all(Array.from({ length: 5 }, () => consul.freePort))
        for (const name of ["web", callee]) {
          yield* Agent.make(here.address, undefined).ask("PUT", "/v1/config", {
            Kind: "service-defaults",
            Name: name,
            Protocol: "http"
          })
        }
        for (const [position, agent] of [here, there].entries()) {
          const address = { Address: "127.0.0.1", Port: gateways[position] }
          yield* Agent.make(agent.address, undefined).ask("PUT", "/v1/agent/service/register", {
            Kind: "mesh-gateway",
            ID: "gateway",
            Name: "mesh-gateway",
            ...address,
            TaggedAddresses: { lan: address, wan: address }
          })
          yield* envoy(agent, "gateway")
        }
        yield* Agent.make(there.address, undefined).ask("PUT", "/v1/agent/service/register", {
          Name: callee,
          Port: port,
          Connect: { SidecarService: { Port: api, Checks: [] } }
        })
        yield* Agent.make(here.address, undefined).ask("PUT", "/v1/agent/service/register", {
          Name: "web",
          Port: 1,
          Connect: {
            SidecarService: {
              Port: web,
              Checks: [],
              Proxy: {
                Upstreams: [{
                  DestinationName: callee,
                  Datacenter: away,
                  LocalBindPort: upstream,
                  MeshGateway: { Mode: mode }
                }]
              }
            }
          }
        })
        yield* envoy(there, `${callee}-sidecar-proxy`)
        yield* envoy(here, "web-sidecar-proxy")
        const answer = yield* consul.eventually(
          Effect.filterOrFail(ask(upstream!), ({ status }) => status === 200, () => "not yet"),
          30
        )
        assert.match(answer.text, new RegExp(`By=spiffe://.*/dc/${away}/svc/${callee}`, "i"))
        assert.match(answer.text, new RegExp(`URI=spiffe://.*/dc/${home}/svc/web`, "i"))
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
  }
})
