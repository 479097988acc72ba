/** The mesh of the recordings, up: the agent, the cast registered with it, the applications, and a sidecar beside each of them. */
import { Effect, Schema } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as Agent from "./Agent.ts"
import * as Application from "./Application.ts"
import * as Consul from "./Consul.ts"
import * as Entries from "./Entries.ts"
import * as Envoys from "./Envoys.ts"
import * as Sidecars from "./Sidecars.ts"
import * as Topology from "./Topology.ts"

export type DefaultPolicy = "allow" | "deny"

export interface Mesh {
  readonly topology: Topology.Topology
  readonly trustDomain: string
  readonly agent: Agent.Agent
  readonly applications: Application.Applications
  readonly entries: Entries.Entries
  readonly sidecars: Sidecars.Sidecars
  /** The status of checks that are not passing now, by instance. */
  readonly health: Map<string, string>
}

/** The real agent that the environment names; undefined: a development agent of its own. */
export const realAgent = process.env["CONSUL_HTTP_ADDR"]

/** Who starts the sidecars. */
export type Starter =
  | { readonly _tag: "Ours" }
  /** By a command. */
  | { readonly _tag: "Command"; readonly command: string }
  /** Of the development agent. */
  | { readonly _tag: "Envoys"; readonly binary: string }
  /** Our own, which hear everything over xDS: of the development agent, or of a real Consul, by its program. */
  | { readonly _tag: "Fed"; readonly consul: string | undefined }

/** Whether each mesh has an agent of its own, whatever the environment names. */
export const hasOwn = ({ _tag }: Starter): boolean => _tag === "Envoys" || _tag === "Fed"

/** Ready once every sidecar accepts. Ends with the scope. */
export const make = Effect.fnUntraced(function*(policy: DefaultPolicy, starter: Starter) {
  const topology = yield* Topology.make
  const server = starter._tag === "Fed" && starter.consul !== undefined
    ? yield* Consul.start(starter.consul, policy)
    : undefined
  const own = server === undefined && (realAgent === undefined || hasOwn(starter))
    ? yield* DevelopmentAgent.make({ port: 0, grpcPort: 0, defaultIntentionPolicy: policy })
    : undefined
  const agent = server !== undefined
    ? server.agent
    : own !== undefined || realAgent === undefined
    ? Agent.make(own?.address ?? "", undefined)
    : Agent.make(/^https?:/.test(realAgent) ? realAgent : `http://${realAgent}`, process.env["CONSUL_HTTP_TOKEN"])
  const applications = yield* Application.make(topology)
  const entries = Entries.make(agent)
  yield* Effect.acquireRelease(entries.become(topology.config), () => Effect.ignore(entries.become([])))
  for (const instance of topology.instances) yield* register(agent, topology, instance)
  // A real agent has one default policy for all: there the sidecars are told another one.
  const sidecars = starter._tag === "Envoys" && own !== undefined
    ? Envoys.make(starter.binary, own)
    : starter._tag === "Fed"
    ? Sidecars.fed(server ?? { grpc: own?.grpcPort ?? 0, token: "" })
    : starter._tag === "Command"
    ? Sidecars.spawned(agent.address, starter.command)
    : yield* Sidecars.inProcess(agent.address, own === undefined ? policy : undefined)
  yield* Effect.forEach(
    topology.instances.filter(({ sidecarDown }) => sidecarDown !== true),
    ({ id, sidecar }) => sidecars.start(id, [sidecar, ...(id === "web" ? Object.values(topology.upstreams) : [])]),
    { concurrency: 4 }
  )
  const roots = yield* Schema.decodeUnknownEffect(Roots)(yield* agent.ask("GET", "/v1/connect/ca/roots"))
  const self: Mesh = {
    topology,
    trustDomain: roots.TrustDomain,
    agent,
    applications,
    entries,
    sidecars,
    health: new Map()
  }
  return self
})

const Roots = Schema.Struct({ TrustDomain: Schema.NonEmptyString })

/** As the cast was registered for the recordings: the sidecar follows the health of its application. */
const register = (agent: Agent.Agent, { upstreams }: Topology.Topology, instance: Topology.Instance) =>
  Effect.acquireRelease(
    agent.ask("PUT", "/v1/agent/service/register", {
      ID: instance.id,
      Name: instance.service,
      Address: "127.0.0.1",
      Port: instance.app,
      Meta: instance.meta,
      Tags: instance.tags,
      Check: { CheckID: checkOf(instance.id), Name: "application", TTL: "24h", Status: "passing" },
      Connect: {
        SidecarService: {
          Port: instance.sidecar,
          Checks: [{ Name: "application", AliasService: instance.id }],
          Proxy: instance.id !== "web" ? {} : {
            Upstreams: Object.entries(upstreams).map(([service, port]) => ({
              DestinationName: service,
              LocalBindPort: port
            }))
          }
        }
      }
    }),
    () => Effect.ignore(agent.ask("PUT", `/v1/agent/service/deregister/${instance.id}`))
  )

const checkOf = (id: string): string => `check:${id}`

/** From then on checks have these statuses, and all others pass. Says whether anything had to change. */
export const setHealth = (
  { agent, health, topology }: Mesh,
  wanted: Readonly<Record<string, string>>
): Effect.Effect<boolean, Agent.AgentRefused> =>
  Effect.gen(function*() {
    let changed = false
    for (const { id } of topology.instances) {
      const status = wanted[id] ?? "passing"
      if ((health.get(id) ?? "passing") === status) continue
      yield* agent.ask("PUT", `/v1/agent/check/update/${checkOf(id)}`, { Status: status })
      health.set(id, status)
      changed = true
    }
    return changed
  })
