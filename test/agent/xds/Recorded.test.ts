import { assert, describe, it } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import * as DevelopmentAgent from "../../../src/agent/DevelopmentAgent.ts"
import type * as Resources from "../../../src/xds/Resources.ts"
import * as Agent from "../../parity/Agent.ts"
import * as Entries from "../../parity/Entries.ts"
import * as Recording from "../../parity/Recording.ts"
import { eventually } from "../../support/consul.ts"
import * as XdsClient from "../../support/xdsClient.ts"

/** What Envoys showed of themselves in the scenarios, under a real Consul. */
const folder = new URL("../../fixtures/parity/envoy/", import.meta.url)

interface Dump {
  readonly clusters?: ReadonlyArray<Named>
  readonly listeners?: ReadonlyArray<Named>
  readonly routes?: ReadonlyArray<Named>
}

interface Named {
  readonly name: string
}

const kinds = {
  clusters: "cluster.Cluster",
  listeners: "listener.Listener",
  routes: "route.RouteConfiguration"
} as const satisfies Record<keyof Dump, Resources.Kind>

const topology = Recording.read("topology.json") as {
  readonly config: ReadonlyArray<Schema.JsonObject>
  readonly instances: ReadonlyArray<{
    readonly id: string
    readonly service: string
    readonly app: number
    readonly sidecar: number
    readonly meta?: Record<string, string>
    readonly tags?: ReadonlyArray<string>
  }>
  readonly upstreams: Record<string, number>
  readonly exposed: number
}

const ports = new Map<number, string>([
  ...topology.instances.flatMap(({ app, id, sidecar }) =>
    [[app, `<app:${id}>`], [sidecar, `<sidecar:${id}>`]] as const
  ),
  ...Object.entries(topology.upstreams).map(([name, port]) => [port, `<upstream:${name}>`] as const),
  [topology.exposed, "<port>"]
])

/** In the words of the recordings, and without what says nothing. */
const normal = (value: unknown, trustDomain: string): unknown => {
  const text = JSON.stringify(value, (key, inner: unknown) => {
    if (typeof inner === "string" && inner.includes("-----BEGIN")) {
      return key === "inline_string" && inner.includes("PRIVATE KEY") ? "[redacted]" : "<pem>"
    }
    return inner
  })
  return JSON.parse(
    text.replaceAll(trustDomain.replaceAll(".", "\\\\."), "<trust-domain>").replaceAll(trustDomain, "<trust-domain>")
      .replace(/127\.0\.0\.1:(\d+)/g, (whole, port: string) => {
        const name = ports.get(Number(port))
        return name === undefined ? whole : `127.0.0.1:${name}`
      })
  )
}

/** Some entries say only what they have beside the base entry of their name. */
const completed = ({ Merge, ...entry }: Schema.JsonObject): Schema.JsonObject =>
  Merge !== true ? entry : {
    ...topology.config.find(({ Kind, Name }) => Kind === entry["Kind"] && Name === entry["Name"]),
    ...entry
  }

const policyOf = (scenario: string): "allow" | "deny" =>
  Recording.scenarios().find(({ name }) => name === scenario)?.defaultPolicy === "deny" ? "deny" : "allow"

const register = (agent: Agent.Agent) =>
  Effect.forEach(topology.instances, (instance) =>
    agent.ask("PUT", "/v1/agent/service/register", {
      ID: instance.id,
      Name: instance.service,
      Address: "127.0.0.1",
      Port: instance.app,
      Meta: instance.meta,
      Tags: instance.tags,
      Connect: {
        SidecarService: {
          Port: instance.sidecar,
          Checks: [{ Name: "application", AliasService: instance.id }],
          Proxy: instance.id !== "web" ? {} : {
            Upstreams: Object.entries(topology.upstreams).map(([DestinationName, LocalBindPort]) => ({
              DestinationName,
              LocalBindPort
            }))
          }
        }
      }
    }), { discard: true })

describe("an Envoy under the development agent", () => {
  for (const file of readdirSync(folder)) {
    const recorded = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as {
      readonly scenario: string
      readonly config?: ReadonlyArray<Schema.JsonObject>
      readonly dumps: Readonly<Record<string, ReadonlyArray<Dump>>>
    }
    it.live(`is told what it was told under Consul: ${recorded.scenario}`, () =>
      Effect.gen(function*() {
        const running = yield* DevelopmentAgent.make({
          port: 0,
          grpcPort: 0,
          defaultIntentionPolicy: policyOf(recorded.scenario)
        })
        const agent = Agent.make(running.address, undefined)
        const config = (recorded.config ?? []).map(completed)
        yield* Entries.make(agent).become(Entries.merged(topology.config, config))
        yield* register(agent)
        for (const [id, parts] of Object.entries(recorded.dumps)) {
          const client = yield* XdsClient.make(`127.0.0.1:${running.grpcPort}`, `${id}-sidecar-proxy`)
          yield* eventually(
            Effect.suspend(() => client.has["listener.Listener"].size > 0 ? Effect.void : Effect.fail("nothing yet"))
          )
          yield* eventually(
            Effect.flatMap(
              running.envoys,
              ({ settled, told }) => settled === told ? Effect.void : Effect.fail("not yet")
            )
          )
          for (const part of parts) {
            for (const [key, kind] of Object.entries(kinds) as ReadonlyArray<[keyof Dump, Resources.Kind]>) {
              const told = [...client.has[kind].values()].map((it) => normal(it, running.trustDomain) as Named)
              for (const expected of part[key] ?? []) {
                const found = told.find(({ name }) => name === expected.name)
                assert.deepStrictEqual(sorted(found), sorted(expected), `${id} ${key} ${expected.name}`)
              }
            }
          }
        }
      }).pipe(Effect.scoped))
  }
})

/** RBAC and logs are objects whose order says nothing. */
const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1).map(([key, inner]) => [key, sorted(inner)])
  )
}
