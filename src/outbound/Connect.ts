/** One connection to one address: TCP, TLS, then who answered. All of it within a deadline, all of it undone on failure. */
import * as Net from "node:net"
import * as Tls from "node:tls"
import { type Context, Effect, Result, type Scope } from "effect"
import type * as SpiffeId from "../identity/SpiffeId.ts"
import * as Catalogue from "../observe/Catalogue.ts"
import * as Meter from "../observe/Meter.ts"
import * as HandshakeFailure from "../tls/HandshakeFailure.ts"
import * as OrderlyEnd from "../tls/OrderlyEnd.ts"
import * as PeerVerification from "../tls/PeerVerification.ts"
import * as Refusal from "../tls/Refusal.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import * as DialError from "./DialError.ts"
import * as Listening from "../net/Listening.ts"
import * as ConnectionMetrics from "../observe/ConnectionMetrics.ts"
import * as Splice from "../net/Splice.ts"

export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/**
 * A connection to a verified peer; half-open, nothing read yet. It ends in order, or fails: see `OrderlyEnd`.
 * Trap: with TLS 1.3 our handshake ends before the peer judges us, so that its refusal shows on the first read.
 */
export interface Connection extends Splice.Side {
  readonly socket: Tls.TLSSocket
  readonly peer: SpiffeId.Service
  /** Where it was dialled. */
  readonly remote: string
}

export interface Options {
  readonly address: Address
  /** Who has to be there; of several, one. */
  readonly expected: SpiffeId.Service | ReadonlyArray<SpiffeId.Service>
  /** Absent: none is sent. */
  readonly sni: string | undefined
  /** The application protocols that are offered, best first. Absent: none. */
  readonly alpn?: ReadonlyArray<string> | undefined
  /** For TCP and TLS together. */
  readonly timeoutMillis: number
}

/** Closed with the scope: orderly where both directions have ended, by a reset otherwise. */
export const scoped = <E, R>(
  opening: Effect.Effect<Connection, E, R>
): Effect.Effect<Connection, E, R | Scope.Scope> =>
  Effect.acquireRelease(opening, (connection) => Effect.sync(connection.reset), { interruptible: true })

/** Undone when interrupted; from then on whoever runs it has to close the connection. */
export const open = (options: Options, material: SecureContexts.Material, context: Context.Context<never>) =>
  Effect.callback<Connection, DialError.Reason>((resume) => {
    const { address, alpn, expected, sni, timeoutMillis } = options
    const remote = Listening.format(address)
    const transport = Net.connect({
      ...address,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 60_000
    })
    const handshakes = ConnectionMetrics.handshakes("outbound", context)
    let settled = false
    let connectedAt = 0
    const settle = (outcome: Outcome) => {
      settled = true
      const destination = "service" in expected ? expected.service : expected[0]?.service ?? ""
      Meter.count(Catalogue.dials, { destination, outcome }, context).value++
    }
    const fail = (reason: Failure) => {
      if (settled) return
      settle(outcomes[reason._tag])
      clearTimeout(timer)
      transport.destroy()
      resume(Effect.fail(reason))
    }
    const refuse = (refusal: Refusal.Refusal) => {
      if (settled) return
      Refusal.count(refusal, "outbound", context)
      handshakes.refused()
      fail(DialError.ofRefusal(refusal, remote))
    }
    const timer = setTimeout(() => {
      const connecting = transport.connecting
      if (!connecting) {
        Refusal.count({ _tag: "HandshakeTimedOut", millis: timeoutMillis }, "outbound", context)
        handshakes.refused()
      }
      fail(
        new DialError.TimedOut({
          what: `${connecting ? "TCP connection" : "TLS handshake"} with ${remote}`,
          millis: timeoutMillis
        })
      )
    }, timeoutMillis)
    transport.on(
      "error",
      (cause) =>
        fail(
          new DialError.ConnectFailed({ address: remote, code: "code" in cause ? String(cause.code) : cause.message })
        )
    )
    transport.once("connect", () => {
      connectedAt = performance.now()
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
      socket.on("error", (cause) => refuse(HandshakeFailure.toRefusal(cause, timeoutMillis)))
      socket.once("close", () => refuse({ _tag: "Disconnected" }))
      socket.once("secureConnect", () => {
        OrderlyEnd.demand(socket, transport)
        // This runs on OpenSSL's stack, where a socket can not be closed by all means: what follows must be free to.
        setImmediate(() => {
          if (settled) return
          const peer = PeerVerification.dialler(PeerVerification.presented(socket, parsed), expected, material)
          if (Result.isFailure(peer)) return refuse(peer.failure)
          settle("connected")
          handshakes.accepted(connectedAt)
          clearTimeout(timer)
          resume(Effect.succeed({ ...Splice.tls(socket, transport), peer: peer.success, remote }))
        })
      })
    })
    return Effect.sync(() => {
      if (!settled) settle("cancelled")
      clearTimeout(timer)
      transport.destroy()
    })
  })

type Failure = Exclude<DialError.Reason, DialError.NoHealthyInstance | DialError.UnknownName>

/** The attribute `outcome` of `mesh_dials_total`. */
type Outcome = "connected" | "cancelled" | (typeof outcomes)[keyof typeof outcomes]

const outcomes = {
  ConnectFailed: "connect_failed",
  HandshakeFailed: "handshake_failed",
  UnexpectedIdentity: "unexpected_identity",
  TimedOut: "timed_out"
} as const satisfies Record<Failure["_tag"], string>
