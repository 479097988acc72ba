/**
 * The mesh for programs without Effect: promises, and objects of Node that frameworks and drivers take.
 *
 *     const mesh = await PlainMesh.join({ service: "web" })
 *     await mesh.listen(http.createServer(app), { port: 8443 })            // any server of Node that does not listen itself
 *     mesh.follow(https.createServer(mesh.serverOptions(), app)).listen(8443) // or one that does
 *     await mesh.fetch("http://api.service.consul/")
 *     await undici.request("http://api.service.consul/", { dispatcher: mesh.dispatcher })
 *     https.get("https://api.service.consul/", { agent: mesh.agent })
 *     const socket = await mesh.connect("db")                              // for drivers that take a socket
 *     new pg.Pool({ stream: () => mesh.stream("db") })                     // for those that want it at once
 *     const { port } = await mesh.forward({ service: "db" })               // for those that take neither
 *     await mesh.close()
 *
 * Certificates, roots and intentions are followed for as long as it is open.
 */
import type * as Undici from "@effect/platform-node/Undici"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Tls from "node:tls"
import { type Duration, Effect, Layer, ManagedRuntime, Result, Schema } from "effect"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as Settings from "../../consul/Settings.ts"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import * as Mesh from "../../mesh/Mesh.ts"
import * as Forwarder from "../../outbound/Forwarder.ts"
import * as MeshDispatcher from "../../outbound/http/MeshDispatcher.ts"
import * as MeshDialer from "../../outbound/MeshDialer.ts"
import * as SecureContexts from "../../tls/SecureContexts.ts"
import * as ServiceRegistration from "../register/ServiceRegistration.ts"
import * as Caller from "./Caller.ts"
import * as FollowedServer from "./FollowedServer.ts"
import * as LateSocket from "./LateSocket.ts"
import * as NodeAgents from "./NodeAgents.ts"
import * as NodeServer from "./NodeServer.ts"
import * as Opened from "./Opened.ts"
import * as PeerTls from "./PeerTls.ts"
import * as ServiceName from "./ServiceName.ts"
import * as Sockets from "./Sockets.ts"

export interface Options extends Mesh.Options {
  /** Where the agent is and what it wants. Default: from the environment, as Consul's own tools read it. */
  readonly consul?: Partial<Settings.Settings> | undefined
}

/** `drain`: how long connections and requests may go on when it closes. Default: 10 seconds. The rest: see `HttpListener`. */
export type ListenOptions = Omit<NodeServer.Options, "from">

export type FollowOptions = Omit<NodeServer.Options, "from" | "host" | "port" | "maxConnections">

export interface ForwardOptions {
  /** As in `connect`. */
  readonly service: string
  /** On `host`, by default `127.0.0.1`: whoever can connect there acts in our name. Default: any free one. */
  readonly port?: number | undefined
  readonly host?: string | undefined
  readonly drain?: Duration.Input | undefined
}

/** With what keeps agents from resuming sessions, which would not be verified. */
export type TlsOptions = PeerTls.Options

/** Where something listens, and how it stops: what is at hand is finished first. */
export interface Listening {
  readonly port: number
  readonly close: () => Promise<void>
}

/**
 * Of `undici`, and of the one that is part of Node, whose types know nothing of each other. Where the types of browsers
 * are in force, as by TypeScript's default `lib`, `RequestInit` has no dispatcher: use `fetch` of the mesh.
 */
export type Dispatcher =
  & Undici.Dispatcher
  & (RequestInit extends { dispatcher?: infer OfNode } ? NonNullable<OfNode> : unknown)

export interface PlainMesh {
  /** Who we are now, as a URI. */
  readonly identity: () => string
  /**
   * Hands what comes from the mesh to a server that does not listen itself. Servers of `node:http` and `node:http2` get the
   * requests that an intention allows, judged one by one as by `MeshHttpServer`; any other gets the connections. Requests
   * and connections at hand are ended when policy changes.
   */
  readonly listen: (server: NodeServer.Server, options: ListenOptions) => Promise<Listening>
  /**
   * The same for a server that listens itself, called before it does: connections that it accepts become connections of
   * the mesh before it sees anything of them. When it closes, what is at hand is finished. Returns the server. Throws at one
   * that listens already.
   */
  readonly follow: <S extends NodeServer.Server>(server: S, options?: FollowOptions) => S
  /**
   * For code that makes a TLS server of its own: pass that server to `follow`, which brings the certificate, its rotation
   * and the judging of callers. Until then nobody can connect to it, as it has no certificate.
   */
  readonly serverOptions: () => Tls.TlsOptions
  /** Who is on the other side of a connection, or who sent a request. */
  readonly peerOf: (of: Caller.Conversation) => SpiffeId.Service | undefined
  /** The claims of the tokens that were required of a request, by the name of their `jwt-provider`. */
  readonly tokensOf: typeof Caller.tokensOf
  /** A connection to an instance of a service: `api`, or a name as in a URL. Rejects with a `DialError`. */
  readonly connect: (service: string) => Promise<Tls.TLSSocket>
  /** The same at once: it connects by itself, and fails as sockets do. */
  readonly stream: (service: string) => LateSocket.LateSocket
  /** A local port that leads to a service, for any TCP protocol. */
  readonly forward: (options: ForwardOptions) => Promise<Listening>
  /** For `https.request`. Keeps connections. */
  readonly agent: Https.Agent
  /** For `http.request`, which is encrypted all the same. Keeps connections. */
  readonly httpAgent: Http.Agent
  /** `fetch` of Node, for URLs that name services. */
  readonly fetch: typeof globalThis.fetch
  /** For `undici.request` and `undici.fetch`, and for Node's `fetch` where somebody else calls it. */
  readonly dispatcher: Dispatcher
  /** Both of these, with times and a word about retries that hold in place of what the routes of services say. */
  readonly override: (overrides: MeshDispatcher.Overrides) => Pick<PlainMesh, "fetch" | "dispatcher">
  /**
   * For `tls.connect`, `https.Agent` and undici's `connect`, to an instance of `service` whose address is known. They can be
   * kept: each handshake has the certificate and the roots of its time. The other side is who it should be, or the
   * connection fails.
   */
  readonly tlsOptions: (service: string) => TlsOptions
  /** Drains what listens, then ends every connection and watch. */
  readonly close: () => Promise<void>
}

export interface RegisterOptions extends Omit<ServiceRegistration.Options, "name" | "healthy"> {
  /** Asked now and then: where it rejects, callers turn away. Default: always well. */
  readonly healthy?: (() => Promise<unknown>) | undefined
}

/** A mesh whose agent is known. */
export interface JoinedMesh extends PlainMesh {
  /** Puts an instance into the catalog until it, or the mesh, is closed: before anything stops to listen. */
  readonly register: (options: RegisterOptions) => Promise<{ readonly close: () => Promise<void> }>
}

/** What a health check rejected with. */
class Unwell extends Schema.TaggedError<Unwell>()("Unwell", { why: Schema.String }) {
  override readonly message = this.why
}

/** Rejects when the agent does not give what is needed in time, saying what is missing and why. */
export const join = async (options: Options): Promise<JoinedMesh> => {
  const runtime = ManagedRuntime.make(
    parts(Mesh.layer(options)).pipe(Layer.provideMerge(ConsulClient.layer(options.consul)))
  )
  const { mesh, opened } = await start(runtime)
  return {
    ...mesh,
    register: ({ healthy, ...instance }) =>
      opened.last(
        ServiceRegistration.make({
          ...instance,
          name: options.service,
          healthy: healthy && Effect.tryPromise({
            try: healthy,
            catch: (error) => new Unwell({ why: error instanceof Error ? error.message : String(error) })
          })
        }),
        "first"
      )
  }
}

/** From whatever provides a mesh. */
export const make = async <E>(layer: Layer.Layer<Mesh.Mesh, E>): Promise<PlainMesh> =>
  (await start(ManagedRuntime.make(parts(layer)))).mesh

const parts = <E, R>(layer: Layer.Layer<Mesh.Mesh, E, R>) => Layer.provideMerge(MeshDispatcher.layer(), layer)

type Parts = Mesh.Mesh | MeshDispatcher.MeshDispatcher

const start = async <R, E>(runtime: ManagedRuntime.ManagedRuntime<Parts | R, E>) => {
  try {
    return await runtime.runPromise(
      Effect.map(
        Effect.all([SecureContexts.SecureContexts, MeshDialer.MeshDialer, MeshDispatcher.MeshDispatcher]),
        ([contexts, dialer, dispatcher]) => plain(runtime, contexts, dialer, dispatcher)
      )
    )
  } catch (error) {
    await runtime.dispose()
    throw error
  }
}

const plain = <R, E>(
  runtime: ManagedRuntime.ManagedRuntime<Parts | R, E>,
  contexts: SecureContexts.SecureContexts["Service"],
  dialer: MeshDialer.MeshDialer["Service"],
  { undici }: MeshDispatcher.MeshDispatcher["Service"]
) => {
  const opened = Opened.make(runtime)
  const sockets = Sockets.make(dialer, opened.run)
  const peerTls = PeerTls.make(contexts)
  const { connect } = sockets
  const agent = NodeAgents.lead(new Https.Agent({ keepAlive: true }), connect)
  const httpAgent = NodeAgents.lead(new Http.Agent({ keepAlive: true }), connect)
  const speaking = (undici: Undici.Dispatcher): Pick<PlainMesh, "fetch" | "dispatcher"> => {
    const dispatcher = undici as Dispatcher
    return { fetch: (input, init) => fetch(input, { ...init, dispatcher }), dispatcher }
  }

  const mesh: PlainMesh = {
    identity: () => SpiffeId.format(contexts.current().leaf.identity),
    listen: (server, options) => opened.last(NodeServer.make(server, server.emit.bind(server), options), "then"),
    follow: (server, options) =>
      FollowedServer.follow(
        server,
        (announce, from) => opened.last(NodeServer.make(server, announce, { ...options, port: 0, from }), "then")
      ),
    serverOptions: () => ({ requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.2" }),
    peerOf: Caller.peerOf,
    tokensOf: Caller.tokensOf,
    connect,
    stream: (service) => new LateSocket.LateSocket(() => connect(service)),
    forward: (options) => opened.last(forward(options), "then"),
    agent,
    httpAgent,
    ...speaking(undici),
    override: (overrides) => speaking(undici.compose(MeshDispatcher.overriding(overrides))),
    tlsOptions: (name) => peerTls(Result.getOrThrow(ServiceName.service(name))),
    close: () =>
      opened.close(async () => {
        agent.destroy()
        httpAgent.destroy()
        await sockets.reset()
      })
  }
  return { mesh, opened }
}

const forward = Effect.fnUntraced(function*({ drain, host, port, service }: ForwardOptions) {
  const to = yield* ServiceName.resolver(service)
  const { bound } = yield* Forwarder.make({ bind: { host: host ?? "127.0.0.1", port: port ?? 0 }, to, drain })
  return { port: "port" in bound ? bound.port : 0 }
})
