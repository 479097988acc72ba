/**
 * A mesh for tests: the development agent, and services in it with real certificates and real TLS on loopback, all in this
 * process. What changes something (an intention, the root, an instance) returns once everybody it is about has heard,
 * so that the next line of a test may rely on it.
 *
 * The mesh lives in real time, whatever clock the test has, and so does what is made of `join`. Trap: a `Schedule` or a
 * `timeout` of the test itself stands still under `it.effect` unless the `layer` has `excludeTestServices: true`.
 *
 *     layer(TestMesh.layer(), { excludeTestServices: true })("orders", (it) => {
 *       it.effect("are for the shop alone", () => Effect.gen(function*() {
 *         const mesh = yield* TestMesh.TestMesh
 *         yield* mesh.serve("orders", routes)
 *         yield* mesh.allow("shop", "orders")
 *         const client = yield* mesh.client("shop")
 *         const response = yield* client.get("http://orders/")
 *       }))
 *     })
 */
import { Clock, Context, Effect, Equal, Layer, Schema, Scope, Stream } from "effect"
import type { HttpClient } from "effect/http"
import { HttpClient as Client } from "effect/http"
import * as DevelopmentAgent from "../agent/DevelopmentAgent.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as Intention from "../intention/Intention.ts"
import * as HttpListener from "../inbound/http/HttpListener.ts"
import * as Mesh from "../mesh/Mesh.ts"
import * as MeshHttpClient from "../native/MeshHttpClient.ts"
import * as MeshHttpServer from "../native/MeshHttpServer.ts"
import type * as MeshListener from "../inbound/MeshListener.ts"
import * as MeshSocketServer from "../native/MeshSocketServer.ts"
import type * as ServerLimits from "../http/HttpLimits.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import * as DiscoveryChains from "../watch/DiscoveryChains.ts"
import * as Endpoints from "../watch/Endpoints.ts"
import * as Intentions from "../watch/Intentions.ts"

/** The mesh did not do as it was told within ten seconds, or not at all. */
export class TestMeshError extends Schema.TaggedError<TestMeshError>()("TestMeshError", {
  attempted: Schema.String,
  why: Schema.String
}) {
  override readonly message = `${this.attempted}: ${this.why}`
}

/** One instance of a service. */
export interface Instance<Stats = MeshHttpServer.Stats> {
  readonly id: string
  readonly port: number
  readonly stats: () => Stats
  /** It becomes unhealthy, and goes on serving who asks all the same. Returns when no client chooses it any more. */
  readonly takeDown: Effect.Effect<void, TestMeshError>
  readonly bringBack: Effect.Effect<void, TestMeshError>
}

/** What an application may need: everything else has to be provided to it. */
export type Application<E = never> = Layer.Layer<never, E, Layer.Success<ReturnType<typeof MeshHttpServer.layer>>>

/** The same for one that speaks any other protocol over TCP, RPC among them. */
export type SocketApplication<E = never> = Layer.Layer<
  never,
  E,
  Layer.Success<ReturnType<typeof MeshSocketServer.layer>>
>

/** `Permissions` of an intention, as Consul has them. */
export type Permissions = ReadonlyArray<Intention.Permission>

export class TestMesh extends Context.Service<TestMesh, {
  /** Starts an instance of a service that speaks HTTP, for the scope. Returns when everybody can call it. */
  readonly serve: <E>(
    service: string,
    application: Application<E>,
    options?: { readonly limits?: ServerLimits.HttpLimits }
  ) => Effect.Effect<Instance, E | TestMeshError, Scope.Scope>
  /** The same for a service that takes connections: `MeshSocket` of a context of `join` calls it. */
  readonly serveSockets: <E>(
    service: string,
    application: SocketApplication<E>
  ) => Effect.Effect<Instance<MeshListener.Stats>, E | TestMeshError, Scope.Scope>
  /** Calls as this service. */
  readonly client: (
    service: string,
    options?: MeshHttpClient.Options
  ) => Effect.Effect<HttpClient.HttpClient, TestMeshError, Scope.Scope>
  /** What a service is made of, for all that is opened by hand; with the clock of the mesh, which is the real one. */
  readonly join: (service: string) => Effect.Effect<Context.Context<Mesh.Mesh>, TestMeshError>
  /** Everything, or what the permissions say. Replaces what was said about the two before. */
  readonly allow: (
    source: string,
    destination: string,
    permissions?: Permissions
  ) => Effect.Effect<void, TestMeshError>
  readonly deny: (source: string, destination: string) => Effect.Effect<void, TestMeshError>
  /** A new root, and new leaves for everybody. */
  readonly rotate: Effect.Effect<void, TestMeshError>
  /** Writes a config entry, such as a `service-resolver`. */
  readonly entry: (
    entry: Schema.JsonObject & { readonly Kind: string; readonly Name: string }
  ) => Effect.Effect<void, TestMeshError>
}>()("effect-mesh/testing/TestMesh") {}

export interface Options {
  /** Where no intention matches. Default: deny. */
  readonly defaultPolicy?: "allow" | "deny" | undefined
}

/** Certificates and sockets know no other; the application that is served keeps the clock of the test. */
const realTime = Clock.Clock.defaultValue()

/** Drains within the time of a test. */
const onLoopback = { host: "127.0.0.1", port: 0, drain: "1 second" } as const

const inRealTime = Effect.provideService(Clock.Clock, realTime)

const make = Effect.gen(function*() {
  const agent = yield* DevelopmentAgent.Agent
  const consul = yield* ConsulClient.ConsulClient
  const scope = yield* Effect.scope
  const members = new Map<string, Context.Context<Mesh.Mesh>>()
  const intentions = new Map<string, Map<string, object>>()
  let instances = 0

  const failed = (attempted: string) => (error: { readonly message: string }) =>
    new TestMeshError({ attempted, why: error.message })

  const orFail = (attempted: string) =>
    Effect.mapError((error: { readonly message: string }) => failed(attempted)(error))

  /** The agent has said so; now it has to get around. */
  const heard = <A>(attempted: string, changes: Stream.Stream<A>, holds: (value: A) => boolean) =>
    changes.pipe(
      Stream.filter(holds),
      Stream.runHead,
      Effect.timeoutOrElse({
        duration: "10 seconds",
        orElse: () => Effect.fail(new TestMeshError({ attempted, why: "not everybody heard of it within 10 seconds" }))
      }),
      Effect.asVoid
    )

  const join = Effect.fnUntraced(function*(service: string) {
    const known = members.get(service)
    if (known !== undefined) return known
    const joined = yield* Layer.buildWithScope(Mesh.layer({ service }), scope).pipe(
      Effect.provideService(ConsulClient.ConsulClient, consul),
      Effect.mapError(failed(`let ${service} join`)),
      // What is made of it is as real as its sockets and certificates.
      Effect.map((mesh) => mesh.pipe(Context.add(Clock.Clock, realTime), Context.add(HttpListener.TellsReasons, true)))
    )
    members.set(service, joined)
    return joined
  }, inRealTime)

  const entry = (payload: Schema.JsonObject & { readonly Kind: string; readonly Name: string }) =>
    consul.call("write", (api) => api.config.write({ query: {}, payload })).pipe(
      orFail(`write ${payload.Kind}/${payload.Name}`),
      Effect.asVoid,
      inRealTime
    )

  const intend = Effect.fnUntraced(function*(source: string, destination: string, rule: object) {
    const sources = intentions.get(destination) ?? new Map<string, object>()
    intentions.set(destination, sources.set(source, { Name: source, ...rule }))
    // What is left out counts as undefined, which JSON does not have.
    const Sources: Schema.Json = JSON.parse(JSON.stringify([...sources.values()]))
    const attempted = `intentions for ${destination}`
    yield* entry({ Kind: "service-intentions", Name: destination, Sources })
    const { body } = yield* consul.call(
      "match",
      (api) => api.connect.matchIntentions({ query: { by: "destination", name: [destination] } })
    ).pipe(orFail(attempted))
    const expected = [...body[destination] ?? []].sort(Intention.compare)
    const member = members.get(destination)
    if (member === undefined) return
    yield* heard(
      attempted,
      Context.get(member, Intentions.Intentions).changes,
      ({ intentions }) => Equal.equals(intentions, expected)
    )
  }, inRealTime)

  /** Lets everybody see whether an instance is to be called. */
  const visible = (service: string, id: string, healthy: boolean) =>
    Effect.forEach(members.values(), (member) =>
      Effect.gen(function*() {
        const chain = yield* Context.get(member, DiscoveryChains.DiscoveryChains).watch({ service })
        const { targets } = yield* chain.get
        for (const target of targets) {
          if (target.service !== service) continue
          const endpoints = yield* Context.get(member, Endpoints.Endpoints).watch(target)
          yield* heard(`${healthy ? "bring" : "take"} ${id} ${healthy ? "up" : "down"}`, endpoints.changes, (list) =>
            list.some((endpoint) =>
              endpoint.id.endsWith(`/${id}`) && endpoint.weight > 0
            ) === healthy)
        }
      }).pipe(Effect.scoped), { concurrency: "unbounded", discard: true }).pipe(inRealTime)

  /** The service, once it has heard what it speaks. */
  const speaking = Effect.fnUntraced(function*(service: string, protocol: "http" | "tcp") {
    yield* entry({ Kind: "service-defaults", Name: service, Protocol: protocol })
    const member = yield* join(service)
    const isHttp = protocol === "http"
    yield* heard(
      `serve ${service}`,
      Context.get(member, Intentions.Intentions).changes,
      ({ http }) => http === isHttp
    )
    return member
  }, inRealTime)

  const opened = <A, E extends { readonly message: string }>(
    service: string,
    server: Layer.Layer<A, E, Mesh.Mesh>,
    member: Context.Context<Mesh.Mesh>
  ) => Layer.build(server).pipe(Effect.provideContext(member), orFail(`serve ${service}`), inRealTime)

  /** In the catalog for the scope, from when everybody can call it. */
  const instance = Effect.fnUntraced(function*<Stats>(
    service: string,
    { port, stats }: { readonly port: number; readonly stats: () => Stats }
  ): Effect.fn.Return<Instance<Stats>, TestMeshError, Scope.Scope> {
    const id = `${service}-${++instances}`
    yield* Effect.acquireRelease(
      consul.call("register", (api) =>
        api.agent.registerService({
          query: {},
          payload: { Name: service, ID: id, Port: port, Address: "127.0.0.1", Connect: { Native: true } }
        })).pipe(orFail(`register ${id}`)),
      () =>
        Effect.ignore(consul.call("deregister", (api) => api.agent.deregisterService({ params: { id }, query: {} })))
    )
    yield* visible(service, id, true)
    const maintenance = (enable: boolean) =>
      Effect.andThen(
        consul.call("maintenance", (api) =>
          api.agent.serviceMaintenance({ params: { id }, query: { enable, reason: "a test" } })).pipe(
            orFail(`maintenance of ${id}`)
          ),
        visible(service, id, !enable)
      )
    return { id, port, stats, takeDown: maintenance(true), bringBack: maintenance(false) }
  }, inRealTime)

  return TestMesh.of({
    join,
    entry,
    allow: (source, destination, permissions) =>
      intend(source, destination, permissions === undefined ? { Action: "allow" } : { Permissions: permissions }),
    deny: (source, destination) => intend(source, destination, { Action: "deny" }),
    client: Effect.fnUntraced(function*(service, options) {
      const context = yield* Layer.build(MeshHttpClient.layer(options)).pipe(
        Effect.provideContext(yield* join(service))
      )
      return Context.get(context, Client.HttpClient)
    }, inRealTime),
    serve: Effect.fnUntraced(function*(service, application, options) {
      const member = yield* speaking(service, "http")
      const server = MeshHttpServer.layer({ ...onLoopback, limits: options?.limits })
      const context = yield* opened(service, server, member)
      yield* Layer.build(application).pipe(Effect.provideContext(context))
      return yield* instance(service, Context.get(context, MeshHttpServer.MeshHttpServer))
    }),
    serveSockets: Effect.fnUntraced(function*(service, application) {
      const member = yield* speaking(service, "tcp")
      const context = yield* opened(service, MeshSocketServer.layer(onLoopback), member)
      yield* Layer.build(application).pipe(Effect.provideContext(context))
      return yield* instance(service, Context.get(context, MeshSocketServer.MeshSocketServer))
    }),
    rotate: Effect.gen(function*() {
      const before = new Map(
        [...members].map(([service, member]) =>
          [
            service,
            Context.get(member, SecureContexts.SecureContexts).current().leaf.certificate.authorityKeyId
          ] as const
        )
      )
      yield* Effect.mapError(agent.rotateRoots, failed("rotate the root"))
      yield* Effect.forEach(
        members,
        ([service, member]) =>
          heard(
            "rotate the root",
            Context.get(member, SecureContexts.SecureContexts).changes,
            ({ leaf }) => leaf.certificate.authorityKeyId !== before.get(service)
          ),
        { concurrency: "unbounded", discard: true }
      )
    }).pipe(inRealTime)
  })
})

/** Also gives the client of its agent, for all that the agent can do besides. */
export const layer = (
  options: Options = {}
): Layer.Layer<
  TestMesh | ConsulClient.ConsulClient,
  DevelopmentAgent.AgentError | Layer.Error<ReturnType<typeof ConsulClient.layer>>
> =>
  Layer.effect(TestMesh, make).pipe(
    Layer.provideMerge(
      Layer.unwrap(Effect.map(DevelopmentAgent.Agent, ({ address }) => ConsulClient.layer({ address })))
    ),
    Layer.provide(DevelopmentAgent.layer({ port: 0, defaultIntentionPolicy: options.defaultPolicy ?? "deny" })),
    Layer.provide(Layer.succeed(Clock.Clock, realTime))
  )
