/**
 * The federation of the example:
 *
 *     dc1                                          dc2
 *     web  ▶ sidecar ─┬─ sidecar ▶ api
 *     shop ▶ Envoy ───┴─ gateway ════════════ gateway ─── Envoy ▶ api
 *
 * Agents, gateways and sidecars are in this process; Envoys are processes of their own, fed by the agents over xDS.
 */
import { Effect, Layer } from "effect"
import * as Datacenters from "../../src/agent/Datacenters.ts"
import type * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as Run from "../../src/cli/envoy/Run.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as MeshGateway from "../../src/gateway/MeshGateway.ts"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as GatewayRegistration from "../../src/watch/GatewayRegistration.ts"
import * as Applications from "./applications.ts"
import { entries } from "./entries.ts"

export interface Caller {
  readonly name: string
  /** The port behind which it reaches `api`. */
  readonly upstream: number
}

export interface Federation {
  readonly callers: ReadonlyArray<Caller>
  /** The application `api` of dc1. */
  readonly home: Applications.Application
  /** How many connections the gateway of each datacenter has taken. */
  readonly passed: () => { readonly dc1: number; readonly dc2: number }
  /** Writes a config entry. */
  readonly write: (entry: object) => Effect.Effect<void, unknown>
}

const put = (agent: DevelopmentAgent.DevelopmentAgent, path: string, body: object) =>
  Effect.tryPromise(async () => {
    const answer = await fetch(`${agent.address}${path}`, { method: "PUT", body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`PUT ${path}: ${await answer.text()}`)
  })

/** A client of the agent that lasts as long as the mesh. */
const client = (agent: DevelopmentAgent.DevelopmentAgent) =>
  Layer.build(Layer.fresh(ConsulClient.layer({ address: agent.address })))

/** One of ours, or an Envoy where a program is named. */
const sidecar = Effect.fnUntraced(function*(
  agent: DevelopmentAgent.DevelopmentAgent,
  service: string,
  envoy: string | undefined
) {
  const proxyId = `${service}-sidecar-proxy`
  if (envoy === undefined) {
    yield* ConsulSidecar.make({ proxyId, drain: "1 second" }).pipe(Effect.provideContext(yield* client(agent)))
    return
  }
  yield* Run.start({
    binary: envoy,
    bootstrap: {
      proxyId,
      service,
      datacenter: agent.datacenter,
      grpc: { host: "127.0.0.1", port: agent.grpcPort ?? 0 },
      admin: { host: "127.0.0.1", port: 0 },
      adminAccessLog: "/dev/null",
      token: ""
    },
    args: ["--concurrency", "1", "-l", "error", "--drain-time-s", "1"],
    output: () => Effect.void
  })
})

const gateway = Effect.fnUntraced(function*(agent: DevelopmentAgent.DevelopmentAgent) {
  const address = { Address: "127.0.0.1", Port: yield* Applications.freePort }
  yield* put(agent, "/v1/agent/service/register", {
    Kind: "mesh-gateway",
    Name: "mesh-gateway",
    ...address,
    TaggedAddresses: { lan: address, wan: address }
  })
  return yield* MeshGateway.make({ drain: "200 millis" }).pipe(
    Effect.provide(GatewayRegistration.layer({ proxyId: "mesh-gateway", kind: "mesh-gateway" })),
    Effect.provideContext(yield* client(agent))
  )
})

const api = Effect.fnUntraced(function*(agent: DevelopmentAgent.DevelopmentAgent, envoy: string | undefined) {
  const application = yield* Applications.start(`api in ${agent.datacenter}`)
  yield* put(agent, "/v1/agent/service/register", {
    Name: "api",
    Address: "127.0.0.1",
    Port: application.port,
    Check: { Name: "application", TCP: `127.0.0.1:${application.port}`, Interval: "1s", Status: "passing" },
    Connect: {
      SidecarService: {
        Port: yield* Applications.freePort,
        Checks: [{ Name: "application", AliasService: "api" }]
      }
    }
  })
  yield* sidecar(agent, "api", envoy)
  return application
})

const caller = Effect.fnUntraced(function*(
  agent: DevelopmentAgent.DevelopmentAgent,
  name: string,
  envoy: string | undefined
) {
  const upstream = yield* Applications.freePort
  yield* put(agent, "/v1/agent/service/register", {
    Name: name,
    Port: yield* Applications.freePort,
    Connect: {
      SidecarService: {
        Port: yield* Applications.freePort,
        Checks: [],
        Proxy: { Upstreams: [{ DestinationName: "api", LocalBindPort: upstream }] }
      }
    }
  })
  yield* sidecar(agent, name, envoy)
  const made: Caller = { name, upstream }
  return made
})

/** Up until the scope closes. Without a program for Envoy, `shop` is left out and the sidecar in dc2 is one of ours. */
export const up = Effect.fnUntraced(function*(envoy: string | undefined) {
  const { agents } = yield* Datacenters.make({
    datacenters: ["dc1", "dc2"],
    port: 0,
    ...(envoy !== undefined && { grpcPort: 0 }),
    defaultIntentionPolicy: "deny"
  })
  const [dc1, dc2 = dc1] = agents
  yield* Effect.forEach(entries, (entry) => put(dc1, "/v1/config", entry))
  const [here, there] = [yield* gateway(dc1), yield* gateway(dc2)]
  const home = yield* api(dc1, undefined)
  yield* api(dc2, envoy)
  const callers = [yield* caller(dc1, "web", undefined)]
  if (envoy !== undefined) callers.push(yield* caller(dc1, "shop", envoy))
  const count = ({ status }: typeof here) => status().listeners[0]?.counts.accepted ?? 0
  const federation: Federation = {
    callers,
    home,
    passed: () => ({ dc1: count(here), dc2: count(there) }),
    write: (entry) => put(dc1, "/v1/config", entry)
  }
  return federation
})
