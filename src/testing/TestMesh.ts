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
import { Clock, Context, Effect, Layer, type Schema, type Scope } from "effect"
import type { HttpClient } from "effect/http"
import { HttpClient as Client } from "effect/http"
import * as DevelopmentAgent from "../agent/DevelopmentAgent.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as ServerLimits from "../http/HttpLimits.ts"
import type * as MeshListener from "../inbound/MeshListener.ts"
import type * as Intention from "../intention/Intention.ts"
import type * as Mesh from "../mesh/Mesh.ts"
import * as MeshHttpClient from "../native/MeshHttpClient.ts"
import * as MeshHttpServer from "../native/MeshHttpServer.ts"
import * as MeshSocketServer from "../native/MeshSocketServer.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import * as Intentions from "../watch/Intentions.ts"
import * as Attempt from "./Attempt.ts"
import * as Entries from "./Entries.ts"
import * as Instances from "./Instances.ts"
import * as Members from "./Members.ts"

export { TestMeshError } from "./Attempt.ts"

/** One instance of a service. */
export type Instance<Stats = MeshHttpServer.Stats> = Instances.Instance<Stats>

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
  ) => Effect.Effect<Instance, E | Attempt.TestMeshError, Scope.Scope>
  /** The same for a service that takes connections: `MeshSocket` of a context of `join` calls it. */
  readonly serveSockets: <E>(
    service: string,
    application: SocketApplication<E>
  ) => Effect.Effect<Instance<MeshListener.Stats>, E | Attempt.TestMeshError, Scope.Scope>
  /** Calls as this service. */
  readonly client: (
    service: string,
    options?: MeshHttpClient.Options
  ) => Effect.Effect<HttpClient.HttpClient, Attempt.TestMeshError, Scope.Scope>
  /** What a service is made of, for all that is opened by hand; with the clock of the mesh, which is the real one. */
  readonly join: (service: string) => Effect.Effect<Context.Context<Mesh.Mesh>, Attempt.TestMeshError>
  /** Everything, or what the permissions say. Replaces what was said about the two before. */
  readonly allow: (
    source: string,
    destination: string,
    permissions?: Permissions
  ) => Effect.Effect<void, Attempt.TestMeshError>
  readonly deny: (source: string, destination: string) => Effect.Effect<void, Attempt.TestMeshError>
  /** A new root, and new leaves for everybody. */
  readonly rotate: Effect.Effect<void, Attempt.TestMeshError>
  /** Writes a config entry, such as a `service-resolver`. */
  readonly entry: (
    entry: Schema.JsonObject & { readonly Kind: string; readonly Name: string }
  ) => Effect.Effect<void, Attempt.TestMeshError>
}>()("effect-mesh/testing/TestMesh") {}

export interface Options {
  /** Where no intention matches. Default: deny. */
  readonly defaultPolicy?: "allow" | "deny" | undefined
}

/** Drains within the time of a test. */
const onLoopback = { host: "127.0.0.1", port: 0, drain: "1 second" } as const

const make = Effect.gen(function*() {
  const agent = yield* DevelopmentAgent.Agent
  const consul = yield* ConsulClient.ConsulClient
  const members = yield* Members.make
  const entries = Entries.make(consul, members)
  let instances = 0
  const registered = <Stats>(
    service: string,
    server: { readonly port: number; readonly stats: () => Stats }
  ) => Instances.register(consul, members, service, `${service}-${++instances}`, server)

  return TestMesh.of({
    join: members.join,
    entry: entries.write,
    allow: (source, destination, permissions) =>
      entries.intend(
        source,
        destination,
        permissions === undefined ? { Action: "allow" } : { Permissions: permissions }
      ),
    deny: (source, destination) => entries.intend(source, destination, { Action: "deny" }),
    client: Effect.fnUntraced(function*(service, options) {
      const context = yield* Layer.build(MeshHttpClient.layer(options)).pipe(
        Effect.provideContext(yield* members.join(service))
      )
      return Context.get(context, Client.HttpClient)
    }, Attempt.inRealTime),
    serve: Effect.fnUntraced(function*(service, application, options) {
      const member = yield* speaking(members, entries, service, "http")
      const server = MeshHttpServer.layer({ ...onLoopback, limits: options?.limits })
      const context = yield* opened(service, server, member)
      yield* Layer.build(application).pipe(Effect.provideContext(context))
      return yield* registered(service, Context.get(context, MeshHttpServer.MeshHttpServer))
    }),
    serveSockets: Effect.fnUntraced(function*(service, application) {
      const member = yield* speaking(members, entries, service, "tcp")
      const context = yield* opened(service, MeshSocketServer.layer(onLoopback), member)
      yield* Layer.build(application).pipe(Effect.provideContext(context))
      return yield* registered(service, Context.get(context, MeshSocketServer.MeshSocketServer))
    }),
    rotate: rotate(agent, members.joined)
  })
})

/** The service, once it has heard what it speaks. */
const speaking = Effect.fnUntraced(function*(
  { join }: Members.Members,
  { write }: Entries.Entries,
  service: string,
  protocol: "http" | "tcp"
) {
  yield* write({ Kind: "service-defaults", Name: service, Protocol: protocol })
  const member = yield* join(service)
  const isHttp = protocol === "http"
  yield* Attempt.heard(
    `serve ${service}`,
    Context.get(member, Intentions.Intentions).changes,
    ({ http }) => http === isHttp
  )
  return member
}, Attempt.inRealTime)

const opened = <A, E extends { readonly message: string }>(
  service: string,
  server: Layer.Layer<A, E, Mesh.Mesh>,
  member: Context.Context<Mesh.Mesh>
) => Layer.build(server).pipe(Effect.provideContext(member), Attempt.orFail(`serve ${service}`), Attempt.inRealTime)

/** A new root, and new leaves of it for all members. */
const rotate = (agent: DevelopmentAgent.Agent["Service"], joined: Members.Members["joined"]) =>
  Effect.gen(function*() {
    const contexts = Array.from(joined.values(), (member) => Context.get(member, SecureContexts.SecureContexts))
    const authorities = contexts.map((each) => [each, authorityOf(each.current())] as const)
    yield* Effect.mapError(agent.rotateRoots, Attempt.failed("rotate the root"))
    yield* Effect.forEach(
      authorities,
      ([{ changes }, before]) =>
        Attempt.heard("rotate the root", changes, (current) => authorityOf(current) !== before),
      { concurrency: "unbounded", discard: true }
    )
  }).pipe(Attempt.inRealTime)

const authorityOf = ({ leaf }: SecureContexts.Material) => leaf.certificate.authorityKeyId

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
    Layer.provide(Layer.succeed(Clock.Clock, Attempt.realTime))
  )
