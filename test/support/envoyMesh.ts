/**
 * `web` and the services that it calls under a real Consul, where one side has the sidecars of Consul's users, Envoy, and the other side
 * those of this project.
 */
import { assert } from "@effect/vitest"
import { Context, Effect, Layer, type Schema } from "effect"
import { execFile } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as agent from "./consul.ts"
import * as programs from "./programs.ts"
import * as RealConsul from "./realConsul.ts"
import * as SidecarMesh from "./sidecarMesh.ts"
import * as Sockets from "./sockets.ts"
import * as temporary from "./temporary.ts"

export type Kind = "envoy" | "ours"

/** Who calls whom. */
export const directions = [
  { caller: "envoy", callee: "ours" },
  { caller: "ours", callee: "envoy" }
] as const satisfies ReadonlyArray<{ readonly caller: Kind; readonly callee: Kind }>

export interface Instance {
  /** Of the application. */
  readonly port: number
  readonly meta?: Readonly<Record<string, string>>
}

export interface Options {
  readonly caller: Kind
  readonly callee: Kind
  readonly services: Readonly<
    Record<string, { readonly protocol: "http" | "http2" | "grpc"; readonly instances: ReadonlyArray<Instance> }>
  >
  /** Besides protocols, and an intention for each service that lets `web` call it. */
  readonly entries?: ReadonlyArray<SidecarMesh.Entry>
}

export interface Mesh {
  /** Where `web` reaches a service. */
  readonly portTo: (service: string) => number
  /** Where the sidecar of an instance listens for callers. */
  readonly sidecarOf: (id: string) => number
  readonly write: (entry: SidecarMesh.Entry) => Effect.Effect<unknown>
  readonly rotateRoot: Effect.Effect<void>
}

export const defaults = SidecarMesh.defaults

export const intention = (service: string, source: Schema.JsonObject): SidecarMesh.Entry => ({
  ...SidecarMesh.intention(source),
  Name: service
})

/** Consuls that look at the version of Envoy before they write what it starts from have a flag that says not to. */
const ignoring = Effect.runSync(Effect.cached(Effect.promise(async () => {
  const help = await promisify(execFile)(RealConsul.binary!, ["connect", "envoy", "-help"]).catch((
    error: { readonly stdout: string; readonly stderr: string }
  ) => error)
  const flag = "-ignore-envoy-compatibility"
  return `${help.stdout}${help.stderr}`.includes(flag) ? [flag] : []
})))

/** One Envoy, as `consul connect envoy` would have it. */
export const startEnvoy = Effect.fnUntraced(function*(consul: RealConsul.RealConsul, id: string) {
  const folder = yield* temporary.folder
  const admin = yield* agent.freePort
  const bootstrap = join(folder, "bootstrap.json")
  const ignore = yield* ignoring
  yield* Effect.promise(async () => {
    const { stdout } = await promisify(execFile)(RealConsul.binary!, [
      "connect",
      "envoy",
      "-bootstrap",
      ...ignore,
      ...["-sidecar-for", id],
      ...["-http-addr", `http://${consul.address}`],
      ...["-grpc-addr", `http://127.0.0.1:${consul.grpc}`],
      ...["-admin-bind", `127.0.0.1:${admin}`]
    ], { timeout: 20_000 })
    const settings = JSON.parse(stdout)
    // Some Consuls write expressions here that newer Envoys do not take.
    delete settings.stats_config?.stats_tags
    await writeFile(bootstrap, JSON.stringify(settings))
  })
  const log = ["--log-path", join(folder, "log"), "-l", "warn"]
  const quick = ["--concurrency", "1", "--disable-hot-restart", "--drain-time-s", "1", "--drain-strategy", "immediate"]
  yield* programs.run(process.env["ENVOY_BIN"]!, ["-c", bootstrap, ...log, ...quick])
})

/** Ready when all of them accept. */
export const make = Effect.fnUntraced(function*({ callee, caller, entries = [], services }: Options) {
  const consul = yield* RealConsul.withoutAcls
  const client = yield* Layer.build(Layer.fresh(ConsulClient.layer({ address: consul.address })))
  const { call } = Context.get(client, ConsulClient.ConsulClient)
  const write = (payload: SidecarMesh.Entry) =>
    Effect.orDie(call("write", (api) => api.config.write({ query: {}, payload })))
  const start = Effect.fnUntraced(function*(kind: Kind, id: string, ports: ReadonlyArray<number>) {
    if (kind === "envoy") yield* startEnvoy(consul, id)
    else yield* ConsulSidecar.make({ proxyId: `${id}-sidecar-proxy`, drain: "500 millis" })
    for (const port of ports) {
      yield* agent.eventually(Effect.scoped(Sockets.connect(port)), 30).pipe(
        Effect.orElseSucceed(() => assert.fail(`the sidecar of ${id} (${kind}) does not accept on port ${port}`))
      )
    }
  }, Effect.provideContext(client))

  const instances = yield* Effect.forEach(
    Object.entries(services).flatMap(([name, service]) =>
      service.instances.map((it, index) => ({ ...it, name, id: `${name}-${index + 1}` }))
    ),
    (it) => Effect.map(agent.freePort, (sidecar) => ({ ...it, sidecar }))
  )
  const upstreams = yield* Effect.forEach(
    Object.keys(services),
    (DestinationName) => Effect.map(agent.freePort, (LocalBindPort) => ({ DestinationName, LocalBindPort }))
  )
  const own = yield* agent.freePort
  for (const [name, { protocol }] of Object.entries(services)) {
    yield* write(defaults(name, protocol))
    yield* write(intention(name, { Action: "allow" }))
  }
  for (const entry of entries) yield* write(entry)
  const register = Effect.gen(function*() {
    for (const { sidecar: port, ...instance } of instances) yield* agent.put({ ...instance, sidecar: { port } })
    yield* agent.put({ name: "web", port: 1, sidecar: { port: own, upstreams } })
  })
  yield* Effect.orDie(Effect.provideContext(register, client))

  for (const { id, sidecar } of instances) yield* start(callee, id, [sidecar])
  yield* start(caller, "web", [own, ...upstreams.map(({ LocalBindPort }) => LocalBindPort)])
  return {
    portTo: (service) => upstreams.find(({ DestinationName }) => DestinationName === service)!.LocalBindPort,
    sidecarOf: (id) => instances.find((instance) => instance.id === id)!.sidecar,
    write,
    rotateRoot: Effect.orDie(Effect.provideContext(agent.rotateRoot, client))
  } satisfies Mesh
})
