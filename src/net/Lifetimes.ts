/**
 * How long connections may last, and how long they may be unused. All of a listener are looked at together now and then,
 * so that neither costs a timer, and a byte costs nothing.
 *
 *     open ─▶ too old, or unused for too long ─▶ quiet since the last look ─▶ ended ─▶ closed by the peer
 *                                              │                                └─ not within the grace: reset
 *                                              └─ not within the grace: reset
 *
 * Only a quiet connection is ended orderly: the peer must not take a stream that was cut for a whole one.
 */
import { Duration, Effect, type Scope } from "effect"
import type * as Splice from "./Splice.ts"
import * as Sweep from "./Sweep.ts"
import * as Turnover from "./Turnover.ts"

export interface Options {
  /** How long a connection may last. Default: no limit. */
  readonly maxLifetime?: Duration.Input | undefined
  /**
   * The part of the lifetime that is left to chance, so that those who connected at once do not come back at once: with
   * 0.1 it is up to a tenth shorter. Default: 0.1.
   */
  readonly lifetimeJitter?: number | undefined
  /** How long a connection may go on without a byte in either direction. Default: no limit. */
  readonly idleTimeout?: Duration.Input | undefined
  /** For a connection that is due to become quiet, and for the peer to close its side. Default: 5 seconds. */
  readonly closeGrace?: Duration.Input | undefined
}

/** The attribute `reason` of `mesh_connections_retired_total`: stable. */
export type Why = "lifetime" | "idle"

/** How many were ended, by reason. */
export type Counts = Readonly<Record<Why, number>>

export interface Lifetimes<in C> {
  /** From now on, until it is closed. */
  readonly track: (connection: C) => void
  /** The same, for who sees it close anyhow. */
  readonly entered: (connection: C) => void
  readonly left: (connection: C) => void
  /** From now on other limits hold, also for what is open. */
  readonly update: (options: Options) => void
  readonly retired: () => Counts
}

export interface Limits {
  /** `Infinity`: no limit, here and below. */
  readonly lifetimeMillis: number
  readonly jitter: number
  readonly idleMillis: number
  readonly graceMillis: number
}

/** Of one connection; times as `now`. */
export interface Life {
  readonly begunAt: number
  /** From 0 to 1: what is left to chance. */
  readonly random: number
  bytes: number
  usedAt: number
  /** Once it was ended: when it is reset. */
  endedUntil: number | undefined
}

export const begin = (now: number, random: number): Life => ({
  begunAt: now,
  random,
  bytes: 0,
  usedAt: now,
  endedUntil: undefined
})

/** `random` is from 0 to 1. */
export const jittered = (millis: number, jitter: number, random: number): number =>
  millis === Infinity ? millis : millis * (1 - jitter * random)

/** What is to be done, and why if that is new. `bytes` are those of both directions so far. */
export const look = (
  life: Life,
  { graceMillis, idleMillis, jitter, lifetimeMillis }: Limits,
  bytes: number,
  now: number
): { readonly act: "end" | "reset"; readonly why: Why | undefined } | undefined => {
  if (life.endedUntil !== undefined) return now < life.endedUntil ? undefined : { act: "reset", why: undefined }
  const quiet = bytes === life.bytes
  if (!quiet) {
    life.bytes = bytes
    life.usedAt = now
  }
  const idle = now - life.usedAt >= idleMillis
  const expires = life.begunAt + jittered(lifetimeMillis, jitter, life.random)
  if (!idle && now < expires) return undefined
  if (!quiet) return now < expires + graceMillis ? undefined : { act: "reset", why: "lifetime" }
  life.endedUntil = now + graceMillis
  return { act: "end", why: idle ? "idle" : "lifetime" }
}

/** `retire`: sees to the end of a connection that is due, quiet or not, instead of what is said above. */
export const make = Effect.fnUntraced(function*<C extends Splice.Side>(
  options: Options,
  retire: ((connection: C, why: Why) => void) | undefined
): Effect.fn.Return<Lifetimes<C>, never, Scope.Scope> {
  let limits = complete(options, retire === undefined)
  const lives = new Turnover.TurnoverMap<C, Life>()
  const retired = { lifetime: 0, idle: 0 }
  const sweep = () => {
    if (shortest(limits) === Infinity) return
    const now = performance.now()
    for (const [connection, life] of lives) {
      const { socket } = connection
      // What is buffered has not gone out: who takes nothing is idle too.
      const due = look(life, limits, socket.bytesRead + socket.bytesWritten - socket.writableLength, now)
      if (due === undefined) continue
      if (due.why !== undefined) retired[due.why]++
      if (retire !== undefined) {
        lives.delete(connection)
        retire(connection, due.why ?? "lifetime")
      } else if (due.act === "reset") connection.reset()
      else socket.end()
    }
  }
  yield* Sweep.every(() => interval(limits), sweep)
  const entered = (connection: C) => lives.set(connection, begin(performance.now(), Math.random()))
  const left = (connection: C) => void lives.delete(connection)
  return {
    entered,
    left,
    track: (connection) => {
      entered(connection)
      connection.socket.once("close", () => left(connection))
    },
    update: (next) => {
      limits = complete(next, retire === undefined)
    },
    retired: () => retired
  }
})

const shortest = ({ idleMillis, lifetimeMillis }: Limits): number => Math.min(lifetimeMillis, idleMillis)

/** Between two looks, in milliseconds. */
const interval = (limits: Limits): number =>
  Math.max(10, Math.min(4000, shortest(limits), limits.graceMillis || Infinity) / 4)

const complete = (options: Options, patient: boolean): Limits => ({
  lifetimeMillis: millis(options.maxLifetime ?? Infinity),
  jitter: options.lifetimeJitter ?? 0.1,
  idleMillis: millis(options.idleTimeout ?? Infinity),
  graceMillis: patient ? millis(options.closeGrace ?? "5 seconds") : 0
})

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))
