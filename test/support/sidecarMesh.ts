/** `web` and instances of `api`, each with a sidecar of its own as Consul registers it, under an agent of the test's own. */
import { Context, type Duration, Effect, Exit, Layer, type Schema, Scope } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as agents from "./agents.ts"
import * as agent from "./consul.ts"

export type Entry = Schema.JsonObject & { readonly Kind: string; readonly Name: string }

export interface Options {
  /** Ports of the applications of `api`. */
  readonly apps: ReadonlyArray<number>
  readonly protocol: "tcp" | "http" | "http2" | "grpc"
  /** Besides the protocol, and an intention that lets `web` call `api`. */
  readonly entries?: ReadonlyArray<Entry>
  /** Services that `web` calls besides `api`. */
  readonly others?: ReadonlyArray<string>
  readonly agent?: DevelopmentAgent.Options
  /** Default: half a second. */
  readonly drain?: Duration.Input
  /** Default: none. */
  readonly shutdownDelay?: Duration.Input
  readonly marks?: ConsulSidecar.Options["marks"]
  readonly tunnels?: ConsulSidecar.Options["tunnels"]
}

export const defaults = (Name: string, Protocol: string): Entry => ({ Kind: "service-defaults", Name, Protocol })

/** What `web` may do with `api`. */
export const intention = (source: Schema.JsonObject): Entry => ({
  Kind: "service-intentions",
  Name: "api",
  Sources: [{ Name: "web", ...source }]
})

export type SidecarMesh = Effect.Success<ReturnType<typeof make>>

/** Ready when all of them accept. */
export const make = Effect.fnUntraced(function*({ apps, entries = [], others = [], protocol, ...options }: Options) {
  const running = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny", ...options.agent })
  // Sidecars ask it at an address where it can be made to fail.
  const front = yield* agents.agentBehind(running.port)
  const consul = yield* Layer.build(ConsulClient.layer({ address: `http://${front.address}` }))
  const { call } = Context.get(consul, ConsulClient.ConsulClient)
  const write = (payload: Entry) => call("write", (api) => api.config.write({ query: {}, payload }))
  const remove = ({ Kind: kind, Name: name }: Pick<Entry, "Kind" | "Name">) =>
    call("delete", (api) => api.config.delete({ params: { kind, name }, query: {} }))

  const upstreams = yield* Effect.forEach(
    ["api", ...others],
    (DestinationName) => Effect.map(agent.freePort, (LocalBindPort) => ({ DestinationName, LocalBindPort }))
  )
  const sidecars = yield* Effect.forEach(["web", ...apps.map((_, index) => `api-${index + 1}`)], () => agent.freePort)
  const register = Effect.gen(function*() {
    yield* write(defaults("api", protocol))
    yield* write(intention({ Action: "allow" }))
    for (const entry of entries) yield* write(entry)
    for (const [index, port] of apps.entries()) {
      yield* agent.put({ name: "api", id: `api-${index + 1}`, port, sidecar: { port: sidecars[index + 1]! } })
    }
    yield* agent.put({ name: "web", port: 1, sidecar: { port: sidecars[0]!, upstreams } })
  }).pipe(Effect.provideContext(consul))
  yield* register

  const scope = yield* Effect.scope
  const start = Effect.fnUntraced(function*(id: string) {
    const own = yield* Scope.fork(scope)
    const sidecar = yield* ConsulSidecar.make({
      proxyId: `${id}-sidecar-proxy`,
      drain: options.drain ?? "500 millis",
      shutdownDelay: options.shutdownDelay,
      marks: options.marks,
      tunnels: options.tunnels
    }).pipe(
      Scope.provide(own),
      Effect.provideContext(consul)
    )
    return { ...sidecar, stop: Scope.close(own, Exit.void) }
  })
  const api = yield* Effect.forEach(apps, (_, index) => start(`api-${index + 1}`))
  const web = yield* start("web")
  return {
    api,
    web,
    /** Where `web` reaches `api`. */
    port: upstreams[0]!.LocalBindPort,
    portTo: (name: string) => upstreams.find(({ DestinationName }) => DestinationName === name)!.LocalBindPort,
    write,
    remove,
    start,
    agent: running,
    front,
    /** For questions to the agent. */
    call,
    /** Tells the agent everything, as at the start. */
    register
  }
})
