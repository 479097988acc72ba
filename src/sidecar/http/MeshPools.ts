/** The connections of a sidecar to the instances of an upstream, over HTTP/1.1 or HTTP/2 as the protocol of the service has it. */
import { Context, Effect, type Scope, Stream } from "effect"
import * as Circuit from "../../http/relay/Circuit.ts"
import type * as Exchange from "../../http/relay/Exchange.ts"
import * as Http1Connections from "../../http/relay/Http1Connections.ts"
import * as Http2Connections from "../../http/relay/Http2Connections.ts"
import type * as Instance from "../../http/relay/Instance.ts"
import * as Listening from "../../net/Listening.ts"
import * as Sweep from "../../net/Sweep.ts"
import * as TcpOptions from "../../net/TcpOptions.ts"
import * as Connect from "../../outbound/Connect.ts"
import * as Destination from "../../outbound/Destination.ts"
import type * as DialError from "../../outbound/DialError.ts"
import type * as Pooling from "../../outbound/http/Pooling.ts"
import * as Tunnels from "../../outbound/tunnel/Tunnels.ts"
import * as SecureContexts from "../../tls/SecureContexts.ts"
import type * as ConnectionSettings from "../../watch/registration/ConnectionSettings.ts"
import * as TransportFailure from "../log/TransportFailure.ts"

export interface MeshPool extends Exchange.Connections, Pooling.Pool {
  /** Ends connections that were not used for too long. */
  readonly sweep: (now: number) => void
  /** No request takes a connection that is open now, except those that have one. */
  readonly renew: () => void
}

/** Shorter than instances keep a connection without a request. */
const idleMillis = 30_000

export const make = Effect.fnUntraced(function*(
  version: Exchange.Version,
  limits: Partial<Circuit.Limits>,
  { idleTimeoutMillis, maxLifetimeMillis, tcp }: ConnectionSettings.ConnectionSettings,
  mayTunnel: boolean
): Effect.fn.Return<Pooling.Pooling<MeshPool>, never, SecureContexts.SecureContexts | Scope.Scope> {
  const contexts = yield* SecureContexts.SecureContexts
  const context = yield* Effect.context<never>()
  const tunnels = mayTunnel ? (yield* Tunnels.Tunnels)?.open : undefined
  const circuits = new Map<string, Circuit.Circuit>()
  const pools = new Set<MeshPool>()
  const circuitOf = (target: string): Circuit.Circuit => {
    let circuit = circuits.get(target)
    if (circuit === undefined) circuits.set(target, circuit = Circuit.make(limits))
    return circuit
  }
  yield* Sweep.every(() => 1000, () => {
    const now = performance.now()
    for (const pool of pools) pool.sweep(now)
  })
  // Connections are of the certificate that they were made with.
  const first = contexts.current()
  yield* Effect.forkScoped(Stream.runForEach(contexts.changes, (material) =>
    Effect.sync(() => {
      if (material !== first) { for (const pool of pools) pool.renew() }
    })))
  return (reached, run) => {
    const options = {
      remote: Listening.format(reached.endpoint.address),
      open: Effect.tap(
        opening(reached, version, contexts, context, tunnels),
        ({ socket }) => Effect.sync(() => TcpOptions.apply(socket, tcp))
      ),
      run,
      circuit: circuitOf(reached.target.id),
      idleMillis: idleTimeoutMillis ?? idleMillis,
      maxAgeMillis: maxLifetimeMillis,
      isAcrossMesh: true
    }
    const made: MeshPool = version === "2"
      ? new Http2Connections.Http2Connections(options)
      : new Http1Connections.Http1Connections(options)
    pools.add(made)
    return {
      version: made.version,
      remote: made.remote,
      begin: (attempt) => made.begin(attempt),
      sweep: (now) => made.sweep(now),
      renew: () => made.renew(),
      close: Effect.ensuring(made.close, Effect.sync(() => pools.delete(made))),
      destroy: Effect.ensuring(made.destroy, Effect.sync(() => pools.delete(made)))
    }
  }
})

const opening = (
  { endpoint, target, timeoutMillis }: Pooling.Reached,
  version: Exchange.Version,
  contexts: SecureContexts.SecureContexts["Service"],
  context: Context.Context<never>,
  tunnels: Tunnels.Open | undefined
): Effect.Effect<Connect.Reached, Instance.Unreachable> =>
  Effect.suspend(() => {
    const material = contexts.current()
    const alpn = [version === "2" ? "h2" : "http/1.1"]
    const options = { ...Destination.dialling(target, endpoint, material), alpn, timeoutMillis: timeoutMillis() }
    // HTTP/2 sends many requests through one connection by itself.
    const opened: Effect.Effect<Connect.Reached, DialError.Reason> = tunnels === undefined || version === "2"
      ? Connect.open(options, material, context)
      : tunnels(options)
    return Effect.mapError(opened, unreachable)
  })

const unreachable = (reason: DialError.Reason): Instance.Unreachable => ({
  timedOut: reason._tag === "TimedOut",
  why: reason.message,
  transport: TransportFailure.ofReason(reason)
})
