/** One connection to one address: TCP, TLS, then the identity of the peer. All within a deadline, all undone on failure. */
import * as Net from "node:net"
import * as Tls from "node:tls"
import { type Context, Effect, Result, type Scope } from "effect"
import type * as SpiffeId from "../identity/SpiffeId.ts"
import * as Listening from "../net/Listening.ts"
import * as Splice from "../net/Splice.ts"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as ConnectionMetrics from "../observe/ConnectionMetrics.ts"
import * as Meter from "../observe/Meter.ts"
import * as HandshakeFailure from "../tls/HandshakeFailure.ts"
import * as OrderlyEnd from "../tls/OrderlyEnd.ts"
import * as PeerVerification from "../tls/PeerVerification.ts"
import * as Refusal from "../tls/Refusal.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import * as DialError from "./DialError.ts"

export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/** A way to a verified peer: a connection of its own, or a stream of a tunnel. */
export interface Reached extends Splice.Side {
  readonly peer: SpiffeId.Service
  /** Where it was dialled. */
  readonly remote: string
  /** The name that was sent to tell what is wanted there. */
  readonly sni?: string | undefined
}

/**
 * A connection to a verified peer; half-open, nothing read yet. It ends in order, or fails: see `OrderlyEnd`.
 * Trap: with TLS 1.3 our handshake ends before the peer judges us, so that its refusal shows on the first read.
 */
export interface Connection extends Reached {
  readonly socket: Tls.TLSSocket
}

export interface Options {
  readonly address: Address
  /** The identity that has to answer; of several, one of them. */
  readonly expected: SpiffeId.Service | ReadonlyArray<SpiffeId.Service>
  /** Absent: none is sent. */
  readonly sni: string | undefined
  /** The application protocols that are offered, best first. Absent: none. */
  readonly alpn?: ReadonlyArray<string> | undefined
  /** The peered cluster whose roots vouch for who answers. Absent: our own. */
  readonly peer?: string | undefined
  /** What is dialled passes the bytes on to somebody whom it picks itself. */
  readonly isGateway?: boolean | undefined
  /** For TCP and TLS together. */
  readonly timeoutMillis: number
}

/** Closed with the scope: orderly where both directions have ended, by a reset otherwise. */
export const scoped = <E, R>(
  opening: Effect.Effect<Connection, E, R>
): Effect.Effect<Connection, E, R | Scope.Scope> =>
  Effect.acquireRelease(opening, (connection) => Effect.sync(connection.reset), { interruptible: true })

/** Undone when interrupted; from then on the caller has to close the connection. */
export const open = (options: Options, material: SecureContexts.Material, context: Context.Context<never>) =>
  Effect.callback<Connection, DialError.Reason>((resume) => {
    const { address, peer, timeoutMillis } = options
    const remote = Listening.format(address)
    const trust = peer === undefined ? material : material.peer(peer)
    if (trust === undefined) {
      return resume(Effect.fail(DialError.ofRefusal({ _tag: "UnknownAuthority" }, remote)))
    }
    const record = makeRecord(options.expected, context)
    const transport = Net.connect({
      ...address,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 60_000
    })
    const fail = (reason: Failure) => {
      if (record.isSettled()) return
      record.settle(outcomes[reason._tag])
      clearTimeout(timer)
      transport.destroy()
      resume(Effect.fail(reason))
    }
    const timer = setTimeout(() => {
      const connecting = transport.connecting
      if (!connecting) record.refused({ _tag: "HandshakeTimedOut", millis: timeoutMillis })
      const what = `${connecting ? "TCP connection" : "TLS handshake"} with ${remote}`
      fail(new DialError.TimedOut({ what, millis: timeoutMillis }))
    }, timeoutMillis)
    transport.on("error", (cause) => {
      const code = "code" in cause ? String(cause.code) : cause.message
      fail(new DialError.ConnectFailed({ address: remote, code }))
    })
    transport.once("connect", () => {
      const connectedAt = performance.now()
      handshake(transport, options, trust, {
        isOver: record.isSettled,
        refused: (refusal) => {
          if (record.isSettled()) return
          record.refused(refusal)
          fail(DialError.ofRefusal(refusal, remote))
        },
        verified: (socket, peer) => {
          record.settle("connected")
          record.accepted(connectedAt)
          clearTimeout(timer)
          resume(Effect.succeed({ ...Splice.tls(socket, transport), peer, remote, sni: options.sni }))
        }
      })
    })
    return Effect.sync(() => {
      if (!record.isSettled()) record.settle("cancelled")
      clearTimeout(timer)
      transport.destroy()
    })
  })

/** What a handshake leads to. */
interface Verdict {
  /** The attempt has ended otherwise: nothing is heard any more. */
  readonly isOver: () => boolean
  readonly refused: (refusal: Refusal.Refusal) => void
  readonly verified: (socket: Tls.TLSSocket, peer: SpiffeId.Service) => void
}

const handshake = (
  transport: Net.Socket,
  { alpn, expected, sni, timeoutMillis }: Options,
  material: SecureContexts.Trust,
  { isOver, refused, verified }: Verdict
): void => {
  let parsed: Tls.PeerCertificate | undefined
  const socket = Tls.connect({
    socket: transport,
    secureContext: material.client,
    rejectUnauthorized: false,
    checkServerIdentity: (_, certificate) => {
      parsed = certificate
      return undefined
    },
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    ...(sni === undefined ? {} : { servername: sni })
  })
  socket.on("error", (cause) => refused(HandshakeFailure.toRefusal(cause, timeoutMillis)))
  socket.once("close", () => refused({ _tag: "Disconnected" }))
  socket.once("secureConnect", () => {
    OrderlyEnd.demand(socket, transport)
    // This runs on OpenSSL's stack, where a socket can not be closed by all means: what follows must be free to.
    setImmediate(() => {
      if (isOver()) return
      const peer = PeerVerification.dialler(PeerVerification.presented(socket, parsed), expected, material)
      if (Result.isFailure(peer)) refused(peer.failure)
      else verified(socket, peer.success)
    })
  })
}

/** Counts one attempt: how it ended, and its handshake. */
const makeRecord = (expected: Options["expected"], context: Context.Context<never>) => {
  const { accepted, refused } = ConnectionMetrics.handshakes("outbound", context)
  const destination = "service" in expected ? expected.service : expected[0]?.service ?? ""
  let settled = false
  return {
    isSettled: () => settled,
    settle: (outcome: Outcome) => {
      settled = true
      Meter.count(MetricCatalogue.dials, { destination, outcome }, context).value++
    },
    accepted,
    refused: (refusal: Refusal.Refusal) => {
      Refusal.count(refusal, "outbound", context)
      refused()
    }
  }
}

type Failure = Exclude<DialError.Reason, DialError.NoHealthyInstance | DialError.UnknownName>

/** The attribute `outcome` of `mesh_dials_total`. */
type Outcome = "connected" | "cancelled" | (typeof outcomes)[keyof typeof outcomes]

const outcomes = {
  ConnectFailed: "connect_failed",
  HandshakeFailed: "handshake_failed",
  UnexpectedIdentity: "unexpected_identity",
  TimedOut: "timed_out"
} as const satisfies Record<Failure["_tag"], string>
