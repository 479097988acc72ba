/** `effect-mesh agent`: the development agent by itself. */
import { Duration, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Log from "./Log.ts"

export const allowHost = Flag.String("allow-host").pipe(
  Flag.withDescription(
    "Host name that requests may use, besides IP addresses and localhost; may be repeated. Others are refused, " +
      "because web pages could use them"
  ),
  Flag.withMetavar("NAME"),
  Flag.atLeast(0)
)

export const enableScriptChecks = Flag.Boolean("enable-script-checks").pipe(
  Flag.withDescription("Let checks run programs; every client of the agent's API can choose them"),
  Flag.withDefault(false)
)

const names = (flag: string) =>
  Flag.mapTryCatch(
    (text: string) => {
      const names = text.split(",").map((name) => name.trim())
      if (new Set(names).size < names.length || !names.every((name) => /^[a-z0-9_-]+$/.test(name))) {
        throw new Error(text)
      }
      return names as [string, ...Array<string>]
    },
    () => `--${flag} takes names of lower-case letters, digits, _ and -, each once, with commas between them`
  )

const peers = Flag.String("peers").pipe(
  Flag.withDescription(
    "Names of clusters beside this one, such as east,west: each with a trust domain and an API of its own, and a peering " +
      "with the (first) datacenter"
  ),
  Flag.withMetavar("NAMES"),
  names("peers"),
  Flag.optional
)

const datacenters = Flag.String("datacenters").pipe(
  Flag.withDescription(
    "Names of several datacenters that share one mesh, such as dc1,dc2; the first is the primary. Each has an API of its " +
      "own, a thousand ports above the one before"
  ),
  Flag.withMetavar("NAMES"),
  names("datacenters"),
  Flag.optional
)

const duration = (name: string) =>
  Flag.String(name).pipe(
    Flag.mapTryCatch(
      (text) => Duration.fromInputUnsafe(text.replace(/^(\d+)(\w+)$/, "$1 $2") as Duration.Input),
      () => `--${name} takes a duration such as "72 hours", "10 minutes" or "5 seconds"`
    )
  )

export const agent = Command.make(
  "agent",
  {
    ...Log.flags,
    bind: Flag.String("bind").pipe(
      Flag.withDescription("Address to listen on; the API is open to every client that reaches it"),
      Flag.withDefault("127.0.0.1")
    ),
    port: Flag.Int("port").pipe(
      Flag.withDescription("Port of the HTTP API; 0 takes any free one"),
      Flag.withDefault(8500)
    ),
    grpcPort: Flag.Int("grpc-port").pipe(
      Flag.withDescription(
        "Port of the interface for Envoys, delta ADS over gRPC, as for effect-mesh envoy; 0 takes any free one; default: there is none"
      ),
      Flag.optional
    ),
    datacenter: Flag.String("datacenter").pipe(Flag.withDescription("Name of the datacenter"), Flag.withDefault("dc1")),
    datacenters,
    peers,
    node: Flag.String("node").pipe(Flag.withDescription("Name of the node; default: the host's"), Flag.optional),
    defaultPolicy: Flag.Literals("default-policy", ["allow", "deny"]).pipe(
      Flag.withDescription("The answer if no intention matches"),
      Flag.withDefault("allow")
    ),
    allowHost,
    enableScriptChecks,
    clusterId: Flag.String("cluster-id").pipe(
      Flag.withDescription("The trust domain is this, and .consul; default: another one with each start"),
      Flag.withMetavar("UUID"),
      Flag.filter(
        (id) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id),
        () => "--cluster-id takes a UUID in lower case"
      ),
      Flag.optional
    ),
    leafTtl: duration("leaf-ttl").pipe(
      Flag.withDescription(
        "Lifetime of leaf certificates; they are renewed after 60 to 90 % of it, below ten minutes after 50 to 60 %"
      ),
      Flag.withDefault(Duration.hours(72))
    )
  },
  Effect.fn("cli.agent")(
    function*(options) {
      // Loaded here, so that a sidecar does not carry it around.
      const Datacenters = yield* Effect.promise(() => import("../agent/Datacenters.ts"))
      const { agents, peers } = yield* Datacenters.make({
        peers: Option.getOrElse(options.peers, () => []),
        host: options.bind,
        port: options.port,
        grpcPort: Option.getOrUndefined(options.grpcPort),
        datacenters: Option.getOrElse(options.datacenters, () => [options.datacenter] as const),
        defaultIntentionPolicy: options.defaultPolicy,
        leafTtl: options.leafTtl,
        allowedHosts: options.allowHost,
        enableScriptChecks: options.enableScriptChecks,
        clusterId: Option.getOrUndefined(options.clusterId),
        ...Option.match(options.node, { onNone: () => ({}), onSome: (nodeName) => ({ nodeName }) })
      })
      const [running] = agents
      const all = [...agents, ...peers]
      yield* Log.announce(
        options,
        `The development agent answers at ${running.address}. It keeps everything in memory, and loses it when it stops.\n` +
          (all.length === 1
            ? ""
            : all.map(({ address, datacenter }) => `  ${datacenter} ${address}\n`).join("")) +
          `  export CONSUL_HTTP_ADDR=${running.address}\n` +
          (running.grpcPort === undefined
            ? ""
            : `  export CONSUL_GRPC_ADDR=${new URL(running.address).hostname}:${running.grpcPort}\n`) +
          "Stop it with Ctrl-C.",
        {
          address: running.address,
          ...Object.fromEntries(all.slice(1).map(({ address, datacenter }) => [`address.${datacenter}`, address]))
        }
      )
      return yield* Effect.never
    },
    (effect, options) => Effect.provide(effect, Log.layer(options)),
    Effect.scoped
  )
).pipe(
  Command.withDescription(
    "Run the embedded development agent: Consul's HTTP API for services, health, certificates, intentions and config " +
      "entries, without Consul. For development and tests only; production is a real Consul."
  ),
  Command.withShortDescription("Run the development agent by itself"),
  Command.withExamples([
    { command: "effect-mesh agent", description: "Where Consul's tools expect an agent" },
    { command: "effect-mesh agent --datacenters dc1,dc2", description: "Two datacenters, at ports 8500 and 9500" },
    { command: "effect-mesh agent --port 0 --leaf-ttl \"10 seconds\"", description: "Any free port, fast rotation" }
  ])
)
