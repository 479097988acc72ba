/** `effect-mesh up`: a whole mesh from files, in one process tree. */
import { Effect, Layer, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as ConsulSidecar from "../sidecar/ConsulSidecar.ts"
import * as GarbageCollection from "../sidecar/GarbageCollection.ts"
import * as IdleMemory from "../sidecar/IdleMemory.ts"
import * as OpenFiles from "../sidecar/OpenFiles.ts"
import { allowHost, enableScriptChecks } from "./agent.ts"
import * as Consul from "./consul.ts"
import * as Log from "./Log.ts"
import * as Refusals from "./refusals.ts"

export const up = Command.make(
  "up",
  {
    ...Log.flags,
    ...Consul.flags,
    ...Refusals.flags,
    agentPort: Flag.Int("agent-port").pipe(
      Flag.withDescription("Port of the development agent, when no agent is given; 0 takes any free one"),
      Flag.withDefault(8500)
    ),
    adminBind: Flag.String("admin-bind").pipe(
      Flag.withDescription(
        "Where the dashboard of the mesh is: 127.0.0.1:PORT or unix:/path/to/socket; default: any free port of 127.0.0.1"
      ),
      Flag.withMetavar("ADDRESS"),
      Flag.withDefault("127.0.0.1:0")
    ),
    allowHost,
    enableScriptChecks,
    audit: Flag.String("audit").pipe(
      Flag.withDescription("Enforce nothing at this service: log callers that would be refused; may be repeated"),
      Flag.withMetavar("SERVICE"),
      Flag.atLeast(0)
    ),
    envoyBinary: Flag.String("envoy-binary").pipe(
      Flag.withDescription("The Envoy to run, where a file says \"proxy\": \"envoy\""),
      Flag.withMetavar("FILE"),
      Flag.withDefault("envoy")
    ),
    files: Argument.Path("file", { mustExist: true, pathType: "file" }).pipe(
      Argument.withDescription("Services, config entries and applications, in JSON, HCL or YAML; several files add up"),
      Argument.atLeast(1)
    )
  },
  Effect.fn("cli.up")(function*(options) {
    GarbageCollection.tuneForRelaying()
    yield* IdleMemory.giveBack
    return yield* run(options).pipe(Effect.provide(Layer.mergeAll(Log.layer(options), Refusals.layer(options))))
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Bring up a whole mesh from files: the development agent (or a real one, with --http-addr or CONSUL_HTTP_ADDR), the " +
      "registrations and config entries, the applications and their sidecars. Shows who may call whom, and stops " +
      "everything in order on Ctrl-C.\n\n" +
      "A file has the format of Consul's agent configuration (service, services, config_entries.bootstrap), and in " +
      "\"applications\" the command of each program, by service. A program is told its PORT, its MESH_SERVICE, and for " +
      "each upstream MESH_UPSTREAM_<NAME>, the local address to call. With \"proxy\": \"envoy\" sidecars are Envoys, with " +
      "\"proxies\": {\"web\": \"envoy\"} some of them."
  ),
  Command.withShortDescription("Bring up a whole mesh from files"),
  Command.withExamples([
    { command: "effect-mesh up mesh.json", description: "With the development agent" },
    { command: "effect-mesh up --http-addr 127.0.0.1:8500 mesh.json", description: "With a real Consul agent" }
  ])
)

const run = Effect.fn(function*(
  options: Log.Options & Consul.Flags & {
    readonly adminBind: string
    readonly agentPort: number
    readonly allowHost: ReadonlyArray<string>
    readonly enableScriptChecks: boolean
    readonly audit: ReadonlyArray<string>
    readonly envoyBinary: string
    readonly files: ReadonlyArray<string>
  }
) {
  yield* OpenFiles.warnIfFew()
  // Loaded here, so that a sidecar does not carry the development agent around.
  const [Dashboard, Matrix, Mesh] = yield* Effect.promise(() =>
    Promise.all([import("./up/Dashboard.ts"), import("./up/Matrix.ts"), import("./up/Mesh.ts")])
  )
  const bind = yield* Dashboard.address(options.adminBind)
  const mesh = yield* Mesh.make({
    files: options.files,
    consul: Consul.settings(options),
    agentPort: options.agentPort,
    allowedHosts: options.allowHost,
    enableScriptChecks: options.enableScriptChecks,
    audit: options.audit,
    envoyBinary: options.envoyBinary
  })
  const dashboard = yield* Dashboard.open(mesh, bind)
  yield* Log.announce(
    options,
    `\nThe mesh is up. Consul's API is at ${mesh.address}, its dashboard at ${dashboard}.`,
    { address: mesh.address, dashboard }
  )
  for (const { sidecar } of mesh.sidecars) {
    yield* Log.announce(options, ConsulSidecar.describe(sidecar), ConsulSidecar.keys(sidecar))
  }
  for (const service of mesh.envoys) {
    yield* Log.announce(options, `${service} has an Envoy beside it: who may call it is not in the table below`, {
      envoy: service
    })
  }
  yield* Effect.raceFirst(
    mesh.ended,
    Stream.runForEach(Matrix.changes(mesh.sidecars), (table) => Log.announce(options, table))
  )
})
