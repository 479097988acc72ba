/**
 * A mesh in which sidecars of several kinds call each other: for each kind a caller, `web-ours`, that calls two services of each kind,
 * `bytes-ours` over TCP and `http-ours` over HTTP.
 */
import { assert } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Metric, type Schema, Scope } from "effect"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as agent from "./consul.ts"
import * as Echo from "./echoService.ts"
import * as Scrape from "./scrape.ts"
import type * as SidecarMesh from "./sidecarMesh.ts"
import * as Sockets from "./sockets.ts"

/** `apart`: ours, without tunnels. `consul`: the proxy that is built into Consul. */
export type Kind = "ours" | "apart" | "envoy" | "consul"

export interface Pair {
  readonly caller: Kind
  readonly callee: Kind
}

export const isOurs = (kind: Kind): kind is "ours" | "apart" => kind === "ours" || kind === "apart"

/** Everybody with everybody, where one of the two at least is ours. */
export const pairs = (kinds: ReadonlyArray<Kind>): ReadonlyArray<Pair> =>
  kinds.flatMap((caller) => kinds.map((callee) => ({ caller, callee })))
    .filter(({ callee, caller }) => isOurs(caller) || isOurs(callee))

/** Starts a sidecar that is not ours. */
export type Start = (kind: Kind, service: string) => Effect.Effect<void, never, Scope.Scope>

export interface Mesh {
  readonly kinds: ReadonlyArray<Kind>
  /** Where the caller reaches a service of the callee. */
  readonly port: (protocol: Protocol, pair: Pair) => number
  /** Connections that the application over TCP, which answers in upper case, has accepted. */
  readonly accepted: () => number
  /** What this caller may do with this callee. */
  readonly permit: (protocol: Protocol, pair: Pair, source: Schema.JsonObject) => Effect.Effect<void>
  readonly rotateRoot: Effect.Effect<void>
  /** Where the sidecar of a service takes callers. */
  readonly publicPort: (protocol: Protocol, kind: Kind) => number
  /** Ends a sidecar, in order where it can. */
  readonly stop: (service: string) => Effect.Effect<void>
  /** TLS connections of a sidecar of ours that carry many. */
  readonly tunnels: (service: string, direction: "inbound" | "outbound") => Effect.Effect<number>
}

export type Protocol = "bytes" | "http"

const protocols = ["bytes", "http"] as const

/** Ready when all of them accept. */
export const make = Effect.fnUntraced(function*(
  address: string,
  kinds: ReadonlyArray<Kind>,
  startOther: Start = () => Effect.die(new Error("only ours"))
): Effect.fn.Return<Mesh, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const client = yield* Effect.orDie(Layer.build(Layer.fresh(ConsulClient.layer({ address }))))
  const { call } = Context.get(client, ConsulClient.ConsulClient)
  const write = (payload: SidecarMesh.Entry) =>
    Effect.orDie(call("write", (api) => api.config.write({ query: {}, payload })))
  const bytes = yield* Sockets.shouting
  const application = yield* Echo.start("http", "1.1")
  const applications = { bytes: bytes.port, http: application.port }

  const services = yield* Effect.forEach(
    protocols.flatMap((protocol) => kinds.map((kind) => ({ protocol, kind, name: `${protocol}-${kind}` }))),
    (service) => Effect.map(agent.freePort, (port) => ({ ...service, port }))
  )
  const callers = yield* Effect.forEach(kinds, (kind) =>
    Effect.all({
      kind: Effect.succeed(kind),
      name: Effect.succeed(`web-${kind}`),
      port: agent.freePort,
      upstreams: Effect.forEach(
        services,
        ({ name }) => Effect.map(agent.freePort, (LocalBindPort) => ({ DestinationName: name, LocalBindPort }))
      )
    }))

  const permitted = new Map<string, Map<string, Schema.JsonObject>>()
  const writeIntentions = (name: string) =>
    Effect.asVoid(write({
      Kind: "service-intentions",
      Name: name,
      Sources: [...permitted.get(name) ?? []].map(([Name, source]) => ({ Name, ...source }))
    }))
  for (const { name, port, protocol } of services) {
    yield* write({ Kind: "service-defaults", Name: name, Protocol: protocol === "http" ? "http" : "tcp" })
    permitted.set(name, new Map(kinds.map((caller) => [`web-${caller}`, { Action: "allow" }])))
    yield* writeIntentions(name)
    yield* Effect.orDie(Effect.provideContext(
      agent.put({ name, port: applications[protocol], sidecar: { port } }),
      client
    ))
  }
  for (const { name, port, upstreams } of callers) {
    yield* Effect.orDie(Effect.provideContext(agent.put({ name, port: 1, sidecar: { port, upstreams } }), client))
  }

  const running = new Map<string, Scope.Closeable>()
  const registry: Context.Service.Shape<typeof Metric.MetricRegistry> = new Map()
  const start = Effect.fnUntraced(function*(kind: Kind, name: string, ports: ReadonlyArray<number>) {
    const own = yield* Scope.fork(scope)
    running.set(name, own)
    if (isOurs(kind)) {
      yield* Effect.orDie(ConsulSidecar.make({
        proxyId: `${name}-sidecar-proxy`,
        drain: "10 seconds",
        tunnels: kind === "ours"
      })).pipe(
        Scope.provide(own),
        Effect.provideContext(client),
        Effect.provideService(Metric.MetricRegistry, registry)
      )
    } else yield* Scope.provide(startOther(kind, name), own)
    for (const port of ports) {
      yield* agent.eventually(Effect.scoped(Sockets.connect(port)), 30).pipe(
        Effect.orElseSucceed(() => assert.fail(`the sidecar of ${name} does not accept on port ${port}`))
      )
    }
  })
  yield* Effect.forEach(services, ({ kind, name, port }) => start(kind, name, [port]), { concurrency: 4 })
  yield* Effect.forEach(
    callers,
    ({ kind, name, upstreams }) => start(kind, name, upstreams.map(({ LocalBindPort }) => LocalBindPort)),
    { concurrency: 4 }
  )
  return {
    kinds,
    port: (protocol, { callee, caller }) =>
      callers.find(({ kind }) => kind === caller)!.upstreams
        .find(({ DestinationName }) => DestinationName === `${protocol}-${callee}`)!.LocalBindPort,
    accepted: () => bytes.sockets.length,
    permit: (protocol, { callee, caller }, source) => {
      permitted.get(`${protocol}-${callee}`)?.set(`web-${caller}`, source)
      return writeIntentions(`${protocol}-${callee}`)
    },
    rotateRoot: Effect.orDie(Effect.provideContext(agent.rotateRoot, client)),
    publicPort: (protocol, kind) => services.find((it) => it.protocol === protocol && it.kind === kind)!.port,
    stop: (name) => {
      const of = running.get(name)
      return of === undefined ? Effect.void : Scope.close(of, Exit.void)
    },
    tunnels: (service, direction) =>
      Effect.map(
        Effect.provideService(Scrape.samples, Metric.MetricRegistry, registry),
        (samples) => samples[`mesh_tunnels_open{direction="${direction}",service="${service}"}`] ?? 0
      )
  }
})
