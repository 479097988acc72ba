/** From the local application to one upstream of the sidecar. */
import type { Socket } from "node:net"
import { Effect, Equal, Iterable, type Scope } from "effect"
import * as Destination from "../outbound/Destination.ts"
import type * as DialError from "../outbound/DialError.ts"
import * as Forwarder from "../outbound/Forwarder.ts"
import type * as Marks from "../http/relay/Marks.ts"
import type * as Lifetimes from "../net/Lifetimes.ts"
import * as Listening from "../net/Listening.ts"
import type * as MeshDialer from "../outbound/MeshDialer.ts"
import * as Resolver from "../outbound/Resolver.ts"
import type * as ProxyRegistration from "../watch/ProxyRegistration.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import * as UpstreamHttp from "./http/UpstreamHttp.ts"
import type * as AccessLogWriter from "./log/AccessLogWriter.ts"
import * as ConnectionLine from "./log/ConnectionLine.ts"
import * as TransportFailure from "./log/TransportFailure.ts"
import * as Listener from "./Listener.ts"

export interface Options {
  /** The service of the application, for the log. */
  readonly caller: string
  readonly marks: Marks.Marks
  readonly log: () => AccessLogWriter.Log | undefined
}

/** What can not change while it is open. */
export const keyOf = ({ bind, datacenter, peer, query, service }: ProxyRegistration.Upstream): string =>
  JSON.stringify([service, query, datacenter, peer, bind])

/** What it leads to. */
export const resolverOf = (upstream: ProxyRegistration.Upstream): Resolver.Resolver =>
  upstream.query === true ? Resolver.query(upstream.service, upstream) : Resolver.from(upstream)

export const make = Effect.fnUntraced(function*(
  upstream: ProxyRegistration.Upstream,
  options: Options
): Effect.fn.Return<
  Listener.Listener,
  Listening.ListenError,
  MeshDialer.MeshDialer | SecureContexts.SecureContexts | Resolver.Sources | Scope.Scope
> {
  let current = upstream
  const http = yield* UpstreamHttp.make(upstream, { ...options, resolverOf })
  const { bound, connections, idle, redirect, setLasting, stats, status, stop } = yield* Forwarder.make({
    caller: options.caller,
    drain: 0, // the sidecar waits, for all of its listeners
    bind: upstream.bind,
    to: resolverOf(upstream),
    serve: http.serve,
    serveNow: http.serveNow,
    draining: http.drain,
    maxConnections: () => current.limits.maxConnections,
    tunnels: () => current.tunnels !== false,
    maxPending: () => current.limits.maxPendingRequests,
    lasting: lastingOf(upstream),
    tcp: () => current.connections.tcp,
    observe: (downstream) => options.log() === undefined ? undefined : observer(options.log, downstream)
  })
  return {
    address: Listening.format(bound),
    announce: Effect.void, // the application is the last to leave
    stop,
    idle,
    counts: stats,
    details: {
      ...Listener.noDetails,
      connections: () => Iterable.map(connections(), openConnection),
      upstream: { protocol: http.protocol, targets: () => http.targets() ?? status(), routes: http.routes }
    },
    update: ({ upstreams }) =>
      Effect.suspend(() => {
        const next = upstreams.find(({ id }) => id === current.id)
        if (next === undefined) return Effect.void
        http.update(next)
        const before = current
        current = next
        setLasting(lastingOf(next))
        const [to, from] = [resolverOf(next), resolverOf(before)]
        return Equal.equals(to, from) ? Effect.void : redirect(to)
      })
  }
})

const lastingOf = (
  { connections: { idleTimeoutMillis, maxLifetimeMillis } }: ProxyRegistration.Upstream
): Lifetimes.Options => ({ idleTimeout: idleTimeoutMillis, maxLifetime: maxLifetimeMillis })

const openConnection = ({ mesh, since, socket }: Forwarder.LocalConnection): Listener.OpenConnection => ({
  remote: addressOf(socket),
  peer: mesh?.peer,
  decision: undefined,
  to: mesh?.remote,
  openedAt: Listener.wallClock(since),
  sent: socket.bytesRead,
  received: socket.bytesWritten
})

const addressOf = ({ remoteAddress: host, remotePort: port }: Socket): string =>
  host === undefined || port === undefined ? "" : Listening.format({ host, port })

/** Makes the line of a connection. */
const observer = (log: Options["log"], downstream: Socket): Forwarder.Observer => {
  const line = ConnectionLine.begin({ log, downstream })
  let cluster: string | undefined
  return {
    connected: ({ remote, sni, socket }) => {
      cluster = sni
      line.reached(socket, remote)
    },
    ended: (error, destination) => {
      const target = destination?.targets[0]?.target
      line.ended({
        cluster: cluster ?? (target === undefined ? undefined : Destination.clusterOf(target)),
        flags: error === undefined ? "-" : flagsOf(error.reason),
        transportFailure: error === undefined ? undefined : TransportFailure.ofReason(error.reason)
      })
    }
  }
}

/** Of Envoy: no healthy host, or a connection failure after which no other one was tried. */
const flagsOf = ({ _tag }: DialError.Reason): string =>
  _tag === "NoHealthyInstance" || _tag === "UnknownName" ? "UH" : "UF,URX"
