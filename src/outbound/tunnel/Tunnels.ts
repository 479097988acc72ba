/**
 * The tunnels to instances: one for each that takes any, shared by all connections to it. Who takes none is called as ever.
 *
 *     open ─▶ a tunnel is there ─▶ a stream of it, at once
 *        └──▶ none is: a TLS connection that offers one ─┬─▶ agreed: the tunnel, and a stream of it
 *                                                        └─▶ not: the connection itself
 *
 * While the first one is being made, others wait for it: a crowd makes one handshake.
 */
import { Context, Deferred, Effect, Exit, Layer, Schedule, Stream } from "effect"
import * as Tunnel from "../../net/tunnel/Tunnel.ts"
import * as Listening from "../../net/Listening.ts"
import * as MetricCatalogue from "../../observe/MetricCatalogue.ts"
import * as Meter from "../../observe/Meter.ts"
import * as SecureContexts from "../../tls/SecureContexts.ts"
import * as Connect from "../Connect.ts"
import * as DialError from "../DialError.ts"

/** Connects as `Connect.open` does, through tunnels where the peer takes them. */
export type Open = (options: Connect.Options) => Effect.Effect<Connect.Reached, DialError.Reason>

/** Where a connection is to lead. */
export type Way = Omit<Connect.Options, "timeoutMillis">

export interface Dialler {
  readonly open: Open
  /** A stream of a tunnel that is open, at once. Undefined: there is none with room. Quick for ways that it has seen. */
  readonly now: (way: Way) => Connect.Reached | undefined
}

/** Undefined: there are none. */
export const Tunnels = Context.Reference<Dialler | undefined>("effect-mesh/outbound/Tunnels", {
  defaultValue: () => undefined
})

/** How long a tunnel is kept without a stream. */
const idleMillis = 60_000

/** How long a peer may be silent while streams are open. */
const silenceMillis = 30_000

/** An instance. */
interface Peer {
  readonly connection: Connect.Connection
  readonly tunnel: Tunnel.Tunnel
  /** Since when it has no streams, as `performance.now()` has it. */
  idleSince: number
}

/** What is known of an instance. */
interface Known {
  peer: Peer | undefined
  /** Whoever came first is making a connection: it ends with what failed, if it was a failure. */
  opening: Deferred.Deferred<void, DialError.Reason> | undefined
  /** It took none when it was asked last. */
  isPlain: boolean
  /** It does not even take the question. */
  isDeaf: boolean
}

export const layer: Layer.Layer<never, never, SecureContexts.SecureContexts> = Layer.effect(
  Tunnels,
  Effect.gen(function*() {
    const contexts = yield* SecureContexts.SecureContexts
    const context = yield* Effect.context<never>()
    const known = new Map<string, Known>()
    /** What is known of the same ways, as long as they are the same objects: an instance that is called often has one. */
    const seen = new WeakMap<object, Known>()
    const open = new Set<Peer>()
    yield* Meter.follow(MetricCatalogue.tunnelsOpen, { direction: "outbound" }, () => open.size)

    const adopt = (connection: Connect.Connection, of: Known): Peer => {
      const peer: Peer = {
        connection,
        idleSince: Infinity,
        tunnel: new Tunnel.Tunnel(connection, {
          maxStreams: 0,
          opened: (stream) => stream.cut("refused"),
          idle: () => {
            peer.idleSince = performance.now()
          },
          retired: () => {
            if (of.peer === peer) of.peer = undefined
          }
        })
      }
      open.add(peer)
      connection.socket.once("close", () => open.delete(peer))
      return peer
    }

    /** The first stream of a new tunnel. One that was made while the certificate changed gets no other. */
    const begin = (
      connection: Connect.Connection,
      of: Known,
      options: Connect.Options,
      made: SecureContexts.Material
    ) => {
      const peer = adopt(connection, of)
      // Others of this one share it, rather than each getting a tunnel beside a full one.
      if (of.peer?.tunnel.hasRoom !== true) of.peer = peer
      const stream = streamOf(peer, options)
      if (made !== contexts.current()) peer.tunnel.retire()
      return stream
    }

    /** Offers a tunnel, unless the peer hangs up on that. */
    const dial = (options: Connect.Options, of: Known): Effect.Effect<Connect.Connection, DialError.Reason> => {
      const material = contexts.current()
      if (of.isDeaf) return Connect.open(options, material, context)
      const offering = { ...options, alpn: [Tunnel.protocol, ...options.alpn ?? []] }
      return Effect.catch(Connect.open(offering, material, context), (reason) => {
        if (!isDeaf(reason)) return Effect.fail(reason)
        of.isDeaf = true
        return Connect.open(options, material, context)
      })
    }

    const first = (options: Connect.Options, of: Known): Effect.Effect<Connect.Reached, DialError.Reason> => {
      const opening = Deferred.makeUnsafe<void, DialError.Reason>()
      of.opening = opening
      const material = contexts.current()
      return dial(options, of).pipe(
        Effect.map((connection) => {
          of.isPlain = connection.socket.alpnProtocol !== Tunnel.protocol
          return of.isPlain ? connection : begin(connection, of, options, material)
        }),
        Effect.onExit((exit) => {
          of.opening = undefined
          // What was only interrupted says nothing to the others.
          return Deferred.done(opening, Exit.isFailure(exit) && !Exit.hasFails(exit) ? Exit.void : Exit.asVoid(exit))
        })
      )
    }

    const now: Dialler["now"] = (way) => {
      if (way.isGateway === true) return undefined
      let of = seen.get(way)
      if (of?.peer === undefined) {
        // It may have been forgotten meanwhile, and found again.
        of = known.get(keyOf(way))
        if (of?.peer === undefined) return undefined
        seen.set(way, of)
      }
      return of.peer?.tunnel.hasRoom === true ? streamOf(of.peer, way) : undefined
    }

    const reach: Open = (options) =>
      Effect.suspend((): Effect.Effect<Connect.Reached, DialError.Reason> => {
        // It would tie all connections to the one instance that the gateway has picked for the first.
        if (options.isGateway === true) return Connect.open(options, contexts.current(), context)
        const of = knownOf(options)
        if (of.peer?.tunnel.hasRoom === true) return Effect.succeed(streamOf(of.peer, options))
        if (of.isPlain) return plainly(options, of)
        if (of.opening === undefined) return first(options, of)
        // What comes after the wait is part of it: it may be another one, or a connection of its own.
        return inTime(Effect.andThen(Deferred.await(of.opening), reach(options)), options)
      })

    /** Each for itself. Whoever finds that the peer has learned to take tunnels says so. */
    const plainly = (options: Connect.Options, of: Known): Effect.Effect<Connect.Reached, DialError.Reason> => {
      const material = contexts.current()
      return Effect.map(dial(options, of), (connection) => {
        if (connection.socket.alpnProtocol !== Tunnel.protocol) return connection
        of.isPlain = false
        return begin(connection, of, options, material)
      })
    }

    const knownOf = (options: Connect.Options): Known => {
      const key = keyOf(options)
      let of = known.get(key)
      if (of === undefined) {
        known.set(key, of = { peer: undefined, opening: undefined, isPlain: false, isDeaf: false })
      }
      return of
    }

    // A tunnel is of the certificate that it was made with.
    let material = contexts.current()
    yield* Effect.forkScoped(Stream.runForEach(contexts.changes, (next) =>
      Effect.sync(() => {
        if (next === material) return
        material = next
        for (const { tunnel } of open) tunnel.retire()
      })))
    yield* Effect.forkScoped(Effect.schedule(
      Effect.sync(() => {
        const now = performance.now()
        for (const { idleSince, tunnel } of open) {
          tunnel.sweep(now, silenceMillis)
          if (now - idleSince > idleMillis && tunnel.size === 0) tunnel.retire()
        }
        for (const [key, { opening, peer }] of known) {
          if (known.size > maxKnown && opening === undefined && peer === undefined) known.delete(key)
        }
      }),
      Schedule.spaced("5 seconds")
    ))
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const { tunnel } of open) tunnel.destroy()
      })
    )
    return { open: reach, now }
  })
)

/** Instances that are remembered although nothing is open to them. */
const maxKnown = 10_000

const keyOf = ({ address, expected, sni }: Way): string => JSON.stringify([address, expected, sni])

const streamOf = (peer: Peer, { alpn, sni }: Way): Connect.Reached => {
  const stream = peer.tunnel.open(alpn?.[0] ?? "")
  peer.idleSince = Infinity
  return {
    socket: stream,
    reset: () => stream.cut("failed"),
    peer: peer.connection.peer,
    remote: peer.connection.remote,
    sni
  }
}

/** Some take no handshake that offers them nothing they speak. */
const isDeaf = (reason: DialError.Reason): boolean =>
  reason._tag === "HandshakeFailed" && reason.detail.includes("no application protocol")

const inTime = <A>(
  waiting: Effect.Effect<A, DialError.Reason>,
  { address, timeoutMillis }: Connect.Options
): Effect.Effect<A, DialError.Reason> =>
  Effect.timeoutOrElse(waiting, {
    duration: timeoutMillis,
    orElse: () =>
      Effect.fail(new DialError.TimedOut({ what: `the tunnel to ${Listening.format(address)}`, millis: timeoutMillis }))
  })
