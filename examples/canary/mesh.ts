/** The mesh of the example in one process: an agent, and a sidecar beside each instance. The application `web` has one upstream. */
import { Effect, Layer } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as Applications from "./applications.ts"
import { entries } from "./entries.ts"

export interface Mesh {
  /** The port behind which `web` reaches `api`. */
  readonly upstream: number
  readonly instances: ReadonlyArray<Applications.Application>
  /** How many instances of a service the agent takes for healthy. */
  readonly healthy: (service: string) => Effect.Effect<number>
}

/** Up until the scope closes. */
export const up = Effect.gen(function*() {
  const agent = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" })
  const put = (path: string, body: object) =>
    Effect.tryPromise(async () => {
      const answer = await fetch(`${agent.address}${path}`, { method: "PUT", body: JSON.stringify(body) })
      if (!answer.ok) throw new Error(`PUT ${path}: ${await answer.text()}`)
    })
  yield* Effect.forEach(entries, (entry) => put("/v1/config", entry))

  const instances = [
    yield* Applications.start({ id: "api-v1-a", service: "api", version: "1" }),
    yield* Applications.start({ id: "api-v1-b", service: "api", version: "1" }),
    yield* Applications.start({ id: "api-v2", service: "api", version: "2" }),
    yield* Applications.start({ id: "standby", service: "api-standby", version: "1" })
  ]
  for (const { id, port, service, version } of instances) {
    yield* put("/v1/agent/service/register", {
      ID: id,
      Name: service,
      Address: "127.0.0.1",
      Port: port,
      Meta: { version },
      Check: { Name: "application", TCP: `127.0.0.1:${port}`, Interval: "1s", Status: "passing" },
      Connect: {
        SidecarService: { Port: yield* Applications.freePort, Checks: [{ Name: "application", AliasService: id }] }
      }
    })
  }
  const upstream = yield* Applications.freePort
  yield* put("/v1/agent/service/register", {
    Name: "web",
    Port: yield* Applications.freePort,
    Connect: {
      SidecarService: {
        Port: yield* Applications.freePort,
        Checks: [{ Name: "application", AliasService: "web" }],
        Proxy: { Upstreams: [{ DestinationName: "api", LocalBindPort: upstream }] }
      }
    }
  })

  const consul = yield* Layer.build(ConsulClient.layer({ address: agent.address }))
  yield* Effect.forEach(
    ["web", ...instances.map(({ id }) => id)],
    (id) => ConsulSidecar.make({ proxyId: `${id}-sidecar-proxy`, drain: "1 second" }),
    { concurrency: "unbounded" }
  ).pipe(Effect.provideContext(consul))
  const healthy = (service: string) =>
    Effect.promise(async () => {
      const answer = await fetch(`${agent.address}/v1/health/connect/${service}?passing`)
      const list: unknown = await answer.json()
      return Array.isArray(list) ? list.length : 0
    })
  const mesh: Mesh = { upstream, instances, healthy }
  return mesh
})
