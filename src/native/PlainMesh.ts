/**
 * The mesh for programs without Effect: promises, and objects of Node that frameworks and drivers take.
 *
 *     const mesh = await PlainMesh.join({ service: "web" })
 *     await mesh.listen(http.createServer(app), { port: 8443 })           // node:http, Express, Fastify, any net.Server
 *     await undici.request("http://api.service.consul/", { dispatcher: mesh.dispatcher })
 *     https.get("https://api.service.consul/", { agent: mesh.agent })
 *     const socket = await mesh.connect("db")                            // for drivers that take a socket
 *     await mesh.close()
 *
 * Certificates, roots and intentions are followed for as long as it is open.
 */
import type * as Undici from "@effect/platform-node/Undici"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Net from "node:net"
import type { Duplex } from "node:stream"
import type * as Tls from "node:tls"
import { type Duration, Effect, Exit, Layer, ManagedRuntime, Result, Scope } from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as Settings from "../consul/Settings.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as PeerVerification from "../tls/PeerVerification.ts"
import * as SecureContexts from "../tls/SecureContexts.ts"
import * as DialError from "./DialError.ts"
import * as Mesh from "./Mesh.ts"
import * as MeshDialer from "./MeshDialer.ts"
import * as MeshDispatcher from "./MeshDispatcher.ts"
import * as MeshListener from "./MeshListener.ts"
import * as MeshUrl from "./MeshUrl.ts"

export interface Options extends Mesh.Options {
  /** Where the agent is and what it wants. Default: from the environment, as Consul's own tools read it. */
  readonly consul?: Partial<Settings.Settings> | undefined
}

export interface ListenOptions {
  /** Default: `0.0.0.0`. */
  readonly host?: string | undefined
  /** 0: any free one. */
  readonly port: number
  readonly maxConnections?: number | undefined
  /** How long open connections may go on when it closes. Default: 10 seconds. */
  readonly drain?: Duration.Input | undefined
}

export interface PlainMesh {
  /** Who we are now, as a URI. */
  readonly identity: () => string
  /**
   * Hands connections from the mesh to a server that does not listen itself: its event `connection` fires for each caller
   * that an intention allows. They are cut when policy changes. Intentions with permissions refuse, as nobody looks into
   * the bytes: `MeshHttpServer` judges requests.
   */
  readonly listen: (
    server: Net.Server,
    options: ListenOptions
  ) => Promise<{ readonly port: number; readonly close: () => Promise<void> }>
  /** Who is on the other side of a connection that `listen` handed over, or `connect` made. */
  readonly peerOf: (socket: Duplex) => SpiffeId.Service | undefined
  /** A connection to an instance of a service: `api`, or a name as in a URL. Rejects with a `DialError`. */
  readonly connect: (service: string) => Promise<Net.Socket>
  /** For `https.request`. Keeps connections. */
  readonly agent: Https.Agent
  /** For `http.request`, which is encrypted all the same. Keeps connections. */
  readonly httpAgent: Http.Agent
  /** For `undici.request` and `undici.fetch`. */
  readonly dispatcher: Undici.Dispatcher
  /**
   * For `tls.connect` to an instance of `service` whose address is known: ask for each connection, as certificates change.
   * The other side is who it should be, or the connection fails.
   */
  readonly tlsOptions: (service: string) => Tls.ConnectionOptions
  /** Drains what listens, then ends every connection and watch. */
  readonly close: () => Promise<void>
}

/** Rejects when the agent does not give what is needed in time, saying what is missing and why. */
export const join = (options: Options): Promise<PlainMesh> =>
  make(Mesh.layer(options).pipe(Layer.provide(ConsulClient.layer(options.consul))))

/** From whatever provides a mesh. */
export const make = async <E>(layer: Layer.Layer<Mesh.Mesh, E>): Promise<PlainMesh> => {
  const runtime = ManagedRuntime.make(Layer.provideMerge(MeshDispatcher.layer(), layer))
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

const plain = <E>(
  runtime: ManagedRuntime.ManagedRuntime<Mesh.Mesh | MeshDispatcher.MeshDispatcher, E>,
  contexts: SecureContexts.SecureContexts["Service"],
  dialer: MeshDialer.MeshDialer["Service"],
  dispatcher: MeshDispatcher.MeshDispatcher["Service"]
): PlainMesh => {
  const peers = new WeakMap<Duplex, SpiffeId.Service>()
  const listeners = new Set<() => Promise<void>>()
  const dialled = new Set<Net.Socket>()

  const connect = async (name: string): Promise<Net.Socket> => {
    const request = MeshUrl.parse(name)
    if (Result.isFailure(request)) throw new TypeError(`${JSON.stringify(name)} can not be called: ${request.failure}`)
    // The scope closes with the mesh: until then the connection is its owner's.
    const { peer, socket } = await runtime.runPromise(
      Effect.flatMap(Scope.make(), (scope) => Scope.provide(dialer.dial(request.success), scope))
    )
    socket.allowHalfOpen = false
    peers.set(socket, peer)
    dialled.add(socket)
    socket.once("close", () => dialled.delete(socket))
    return socket
  }

  const listen: PlainMesh["listen"] = async (server, options) => {
    const scope = await runtime.runPromise(Scope.make())
    const listener = await runtime.runPromise(
      Scope.provide(
        MeshListener.make({
          host: options.host ?? "0.0.0.0",
          port: options.port,
          maxConnections: options.maxConnections,
          drain: options.drain,
          handle: ({ caller, socket }) =>
            Effect.callback<void>((resume) => {
              socket.once("close", () => resume(Effect.void))
              socket.allowHalfOpen = server instanceof Http.Server
              peers.set(socket, caller)
              server.emit("connection", socket)
            })
        }),
        scope
      )
    )
    // It does not listen itself, yet this is what makes Node watch over the time that headers take.
    if (server instanceof Http.Server) server.emit("listening")
    const close = async () => {
      if (!listeners.delete(close)) return
      if (server instanceof Http.Server) server.closeIdleConnections()
      await runtime.runPromise(Scope.close(scope, Exit.void))
    }
    listeners.add(close)
    return { port: listener.port, close }
  }

  const expected = (service: string): string => {
    const { leaf, roots } = contexts.current()
    return SpiffeId.format(
      SpiffeId.service({ trustDomain: roots.trustDomain, datacenter: leaf.identity.datacenter, service })
    )
  }

  class MeshHttpAgent extends Http.Agent {
    override createConnection: Http.Agent["createConnection"] = (options, callback) => {
      connectFor(options.host, callback)
      return undefined
    }
  }
  class MeshHttpsAgent extends Https.Agent {
    override createConnection: Https.Agent["createConnection"] = (options, callback) => {
      connectFor(options.host, callback)
      return undefined
    }
  }
  const connectFor = (
    host: string | null | undefined,
    callback: ((error: Error | null, stream: Duplex) => void) | undefined
  ): void => {
    connect(host ?? "").then(
      (socket) => callback?.(null, socket),
      // Node looks at the error alone.
      (error: Error) => callback?.(error, undefined as never)
    )
  }
  const agent = new MeshHttpsAgent({ keepAlive: true })
  const httpAgent = new MeshHttpAgent({ keepAlive: true })

  return {
    identity: () => SpiffeId.format(contexts.current().leaf.identity),
    listen,
    peerOf: (socket) => peers.get(socket),
    connect,
    agent,
    httpAgent,
    dispatcher: dispatcher.undici,
    tlsOptions: (service) => ({
      secureContext: contexts.current().client,
      rejectUnauthorized: true,
      checkServerIdentity: (_, certificate) => {
        const presented = PeerVerification.firstUri(certificate.subjectaltname)
        return presented === expected(service) ? undefined : new DialError.UnexpectedIdentity({
          address: "the other side",
          expected: expected(service),
          presented: presented ?? "nobody of the mesh"
        })
      }
    }),
    close: async () => {
      await Promise.all([...listeners].map((close) => close()))
      agent.destroy()
      httpAgent.destroy()
      for (const socket of dialled) socket.destroy()
      await runtime.dispose()
    }
  }
}
