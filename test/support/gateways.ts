/** Two datacenters with services, and the gateways between them. */
import type * as Net from "node:net"
import { connect as connectTcp } from "node:net"
import * as Tls from "node:tls"
import { Context, type Duration, Effect, Exit, Layer, Redacted, Schedule, Schema, Scope } from "effect"
import * as Datacenters from "../../src/agent/Datacenters.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as ApiGateway from "../../src/gateway/ApiGateway.ts"
import * as MeshGateway from "../../src/gateway/MeshGateway.ts"
import * as TerminatingGateway from "../../src/gateway/TerminatingGateway.ts"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as GatewayRegistration from "../../src/watch/GatewayRegistration.ts"
import * as agent from "./consul.ts"
import * as sockets from "./sockets.ts"

/** What proves who a client is, and whom it trusts. */
export interface Identity {
  readonly cert: string
  readonly key: string
  readonly ca: ReadonlyArray<string>
}

export const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, unknown, R> =>
  Effect.retry(
    Effect.catchDefect(effect, Effect.fail),
    Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(1500)])
  )

/** What tests do with a datacenter, by the API of its agent, of whatever kind. */
export const datacenter = Effect.fnUntraced(function*(address: string, name: string) {
  const consul = yield* Layer.build(ConsulClient.layer({ address }))
  const { call } = Context.get(consul, ConsulClient.ConsulClient)
  const scope = yield* Effect.scope
  const put = (service: Schema.JsonObject & { readonly Name: string }) =>
    call("register", (api) => api.agent.registerService({ query: {}, payload: service }))

  return {
    name,
    address,
    consul,
    call,
    put,
    write: (payload: Schema.JsonObject & { readonly Kind: string; readonly Name: string }) =>
      call("write", (api) => api.config.write({ query: {}, payload })),
    /** These are all that a peer is shown. */
    exportTo: (Peer: string, ...names: ReadonlyArray<string>) =>
      call("write", (api) =>
        api.config.write({
          query: {},
          payload: {
            Kind: "exported-services",
            Name: "default",
            Services: names.map((Name) => ({ Name, Consumers: [{ Peer }] }))
          }
        })),
    deregister: (id: string) => call("deregister", (api) => api.agent.deregisterService({ params: { id }, query: {} })),

    /** A service whose application answers in upper case, or listens on `port`, with a sidecar. */
    service: Effect.fnUntraced(function*(
      service: string,
      options: {
        readonly id?: string
        readonly port?: number
        readonly meta?: Record<string, string>
        /** Services that it calls. */
        readonly upstreams?: ReadonlyArray<string>
      } = {}
    ) {
      const id = options.id ?? service
      const port = options.port ?? (yield* sockets.shouting).port
      const sidecarPort = yield* agent.freePort
      const upstreams = yield* Effect.forEach(
        options.upstreams ?? [],
        (DestinationName) => Effect.map(agent.freePort, (LocalBindPort) => ({ DestinationName, LocalBindPort }))
      )
      const sidecarOptions = { port: sidecarPort, upstreams }
      yield* agent.put({ name: service, id, port, meta: options.meta ?? {}, sidecar: sidecarOptions }).pipe(
        Effect.provideContext(consul)
      )
      const own = yield* Scope.fork(scope)
      const sidecar = yield* ConsulSidecar.make({ proxyId: `${id}-sidecar-proxy`, drain: "200 millis" }).pipe(
        Scope.provide(own),
        Effect.provideContext(consul)
      )
      return {
        ...sidecar,
        sidecarPort,
        portTo: (name: string) => upstreams.find((each) => each.DestinationName === name)!.LocalBindPort,
        stop: Scope.close(own, Exit.void)
      }
    }),

    /** An application whose sidecar somebody else runs: its id. */
    registered: Effect.fnUntraced(function*(
      service: string,
      port: number,
      upstreams: ReadonlyArray<Schema.JsonObject> = []
    ) {
      yield* put({
        Name: service,
        Port: port,
        Address: "127.0.0.1",
        Connect: { SidecarService: { Port: yield* agent.freePort, Checks: [], Proxy: { Upstreams: upstreams } } }
      })
      return `${service}-sidecar-proxy`
    }),

    /** An application without a service of its own that calls these upstreams through its sidecar. */
    caller: Effect.fnUntraced(function*(
      service: string,
      upstreams: ReadonlyArray<Schema.JsonObject>,
      proxy: Schema.JsonObject = {}
    ) {
      const bound = yield* Effect.forEach(
        upstreams,
        (upstream) => Effect.map(agent.freePort, (LocalBindPort) => ({ ...upstream, LocalBindPort }))
      )
      yield* put({
        Name: service,
        Port: 1,
        Connect: { SidecarService: { Port: yield* agent.freePort, Proxy: { ...proxy, Upstreams: bound } } }
      })
      const sidecar = yield* ConsulSidecar.make({ proxyId: `${service}-sidecar-proxy`, drain: "200 millis" }).pipe(
        Scope.provide(scope),
        Effect.provideContext(consul)
      )
      return { ...sidecar, ports: bound.map(({ LocalBindPort }) => LocalBindPort) }
    }),

    /** A mesh gateway, registered and running. */
    gateway: Effect.fnUntraced(function*(options: {
      readonly id?: string
      readonly config?: Schema.JsonObject
      readonly shutdownDelay?: Duration.Input
      /** Default: 200 ms. */
      readonly drain?: Duration.Input
    } = {}) {
      const id = options.id ?? "mesh-gateway"
      const port = yield* agent.freePort
      yield* put({
        Kind: "mesh-gateway",
        Name: "mesh-gateway",
        ID: id,
        Address: "127.0.0.1",
        Port: port,
        TaggedAddresses: { wan: { Address: "127.0.0.1", Port: port } },
        Proxy: { Config: options.config ?? {} }
      })
      const own = yield* Scope.fork(scope)
      const gateway = yield* MeshGateway.make({
        drain: options.drain ?? "200 millis",
        shutdownDelay: options.shutdownDelay
      }).pipe(
        Effect.provide(GatewayRegistration.layer({ proxyId: id, kind: "mesh-gateway" })),
        Scope.provide(own),
        Effect.provideContext(consul)
      )
      return { ...gateway, id, port, stop: Scope.close(own, Exit.void) }
    }),

    /** A service that is not in the mesh, on a node without an agent. */
    outside: (service: string, port: number) =>
      call("catalog", (api) =>
        api.catalog.register({
          query: {},
          payload: {
            Node: `node-of-${service}`,
            Address: "127.0.0.1",
            Service: { ID: `${service}-1`, Service: service, Port: port }
          }
        })),

    /** A terminating gateway, registered and running; its config entry is for others to write. */
    terminating: Effect.fnUntraced(function*(options: { readonly config?: Schema.JsonObject } = {}) {
      const port = yield* agent.freePort
      yield* put({
        Kind: "terminating-gateway",
        Name: "terminating-gateway",
        Address: "127.0.0.1",
        Port: port,
        Proxy: { Config: options.config ?? {} }
      })
      const own = yield* Scope.fork(scope)
      const gateway = yield* TerminatingGateway.make({ drain: "200 millis" }).pipe(
        Effect.provide(GatewayRegistration.layer({ proxyId: "terminating-gateway", kind: "terminating-gateway" })),
        Scope.provide(own),
        Effect.provideContext(consul)
      )
      return { ...gateway, port, stop: Scope.close(own, Exit.void) }
    }),

    /** An API gateway, registered and running; its config entries are for others to write. */
    api: Effect.fnUntraced(function*(options: {
      readonly config?: Schema.JsonObject
      readonly rebind?: Schedule.Schedule<unknown>
    } = {}) {
      yield* put({
        Kind: "api-gateway",
        Name: "api-gateway",
        Address: "127.0.0.1",
        Port: 1,
        Proxy: { Config: options.config ?? {} }
      })
      const own = yield* Scope.fork(scope)
      const gateway = yield* ApiGateway.make({ drain: "200 millis", rebind: options.rebind }).pipe(
        Effect.provide(GatewayRegistration.layer({ proxyId: "api-gateway", kind: "api-gateway" })),
        Scope.provide(own),
        Effect.provideContext(consul)
      )
      return { ...gateway, stop: Scope.close(own, Exit.void) }
    }),

    /** What the terminating gateways lead to. */
    link: (...services: ReadonlyArray<Schema.JsonObject & { readonly Name: string }>) =>
      call("write", (api) =>
        api.config.write({
          query: {},
          payload: { Kind: "terminating-gateway", Name: "terminating-gateway", Services: services }
        })),

    identity: Effect.fnUntraced(function*(service: string) {
      const { body } = yield* call("leaf", (api) => api.agent.caLeaf({ params: { service }, query: {} }))
      const { body: { Roots } } = yield* call("roots", (api) => api.agent.caRoots({ query: {} }))
      const key: unknown = body.PrivateKeyPEM
      return {
        cert: body.CertPEM,
        key: Redacted.isRedacted(key) ? String(Redacted.value(key)) : String(key),
        ca: Roots.map(({ RootCert }) => RootCert)
      } satisfies Identity
    }),

    trustDomain: Effect.map(
      call("roots", (api) => api.agent.caRoots({ query: {} })),
      ({ body }) => body.TrustDomain
    )
  }
})

const called = Effect.fnUntraced(function*(first: string, second: string) {
  const { agents, wan } = yield* Datacenters.make({ datacenters: [first, second], port: 0 })
  const dc1 = yield* datacenter(agents[0].address, first)
  const dc2 = yield* datacenter(agents[1]!.address, second)
  return { dc1, dc2, wan, rotate: agents[0].rotateRoots, sni: nameIn(yield* dc1.trustDomain) }
})

/** `dc1` is the primary. */
export const two = called("dc1", "dc2")

/** The same, called `DC1` and `DC2`. */
export const capitals = called("DC1", "DC2")

/** `dc1`, and a cluster beside it with a trust domain of its own: each is a peer of the other, by the name of its datacenter. */
export const peers = Effect.gen(function*() {
  const { agents, peers, wan } = yield* Datacenters.make({
    datacenters: ["dc1"],
    peers: ["east"],
    port: 0,
    grpcPort: 0
  })
  const dc1 = yield* datacenter(agents[0].address, "dc1")
  const east = yield* datacenter(peers[0]!.address, "east")
  return {
    dc1,
    east,
    wan,
    rotate: peers[0]!.rotateRoots,
    rotateOurs: agents[0].rotateRoots,
    /** Where each tells Envoys what to do. */
    grpc: { dc1: `127.0.0.1:${agents[0].grpcPort}`, east: `127.0.0.1:${peers[0]!.grpcPort}` }
  }
})

export const one = Effect.gen(function*() {
  const { agents: [{ address }] } = yield* Datacenters.make({ datacenters: ["dc1"], port: 0 })
  const dc1 = yield* datacenter(address, "dc1")
  return { dc1, sni: nameIn(yield* dc1.trustDomain) }
})

/** The name of a service, or of a subset, in a datacenter. */
const nameIn = (trustDomain: string) => (service: string, datacenter = "dc1"): string =>
  `${service}.default.${datacenter}.internal.${trustDomain}`

/** What became of a connection instead: Node's code, or `closed`. */
export class Lost extends Schema.TaggedError<Lost>()("Lost", { why: Schema.String }) {
  override readonly message = this.why
}

const lost = (error: Error) => new Lost({ why: "code" in error ? String(error.code) : error.message })

/** A connection to the service of this name through a gateway, and who has answered. */
export interface Call {
  readonly socket: Tls.TLSSocket
  readonly transport: Net.Socket
  /** The SPIFFE id. */
  readonly peer: string
  /** Of its certificate. */
  readonly fingerprint: string
}

export const connect = (
  port: number,
  { ca, cert, key }: Identity,
  servername: string | undefined
): Effect.Effect<Call, Lost, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Call, Lost>((resume) => {
      const transport = connectTcp({ port, host: "127.0.0.1" })
      const failed = (error: Error) => resume(Effect.fail(lost(error)))
      transport.on("error", failed)
      transport.once("connect", () => {
        const socket = Tls.connect({
          socket: transport,
          ca: [...ca],
          cert,
          key,
          checkServerIdentity: () => undefined,
          ...(servername === undefined ? {} : { servername })
        })
        socket.on("error", failed)
        socket.on("close", () => failed(new Error("closed")))
        socket.once("secureConnect", () => {
          const { fingerprint256: fingerprint, subjectAltName = "" } = socket.getPeerX509Certificate()!
          const peer = /URI:(\S+)/.exec(subjectAltName)?.[1] ?? ""
          resume(Effect.succeed({ socket, transport, peer, fingerprint }))
        })
      })
    }),
    ({ socket, transport }) =>
      Effect.sync(() => {
        socket.destroy()
        transport.destroy()
      })
  )

/** Says something, and waits for the answer. */
export const say = ({ socket }: Call, text: string): Effect.Effect<string, Lost> =>
  Effect.callback((resume) => {
    if (socket.destroyed) return resume(Effect.fail(new Lost({ why: "closed" })))
    socket.once("data", (chunk) => resume(Effect.succeed(chunk.toString())))
    socket.once("error", (error) => resume(Effect.fail(lost(error))))
    socket.once("close", () => resume(Effect.fail(new Lost({ why: "closed" }))))
    socket.write(text)
  })

/** One call: who has answered, and what. */
export const call = (port: number, identity: Identity, servername: string | undefined, text = "hello") =>
  Effect.scoped(
    Effect.flatMap(
      connect(port, identity, servername),
      (made) => Effect.map(say(made, text), (answer) => ({ answer, peer: made.peer }))
    )
  )

/** A service whose application and sidecar do nothing but count who comes to them. */
export const trap = Effect.fnUntraced(function*(
  { put }: Effect.Success<ReturnType<typeof datacenter>>,
  service: string
) {
  let reached = 0
  const counting = sockets.server((socket) => {
    reached++
    socket.destroy()
  })
  yield* put({
    Name: service,
    Port: (yield* counting).port,
    Connect: {
      SidecarService: {
        Port: (yield* counting).port,
        Checks: [{ Name: "always", TTL: "1h", Status: "passing" }]
      }
    }
  })
  return () => reached
})

/** Sends bytes, and waits until the gateway has closed: what it said meanwhile. */
export const answerTo = (port: number, bytes: Uint8Array) =>
  Effect.scoped(Effect.flatMap(sockets.connect(port), (socket) =>
    Effect.callback<string>((resume) => {
      let text = ""
      socket.on("data", (chunk: Buffer) => (text += chunk.toString("hex")))
      socket.on("error", () => {})
      socket.on("end", () => socket.end())
      socket.once("close", () => resume(Effect.succeed(text)))
      socket.write(bytes)
    })))
