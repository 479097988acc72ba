/**
 * The connections to one agent, by what they are for. An agent allows 200 from one address (`http_max_conns_per_client`),
 * and a blocking query occupies one all the time. So each purpose has a line of its own, and none ever stands behind the
 * questions of another. Waits are counted, and long ones logged.
 */
import { Clock, Context, Duration, Effect, Semaphore } from "effect"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as Meter from "../observe/Meter.ts"

/**
 * - `call`: requests that a caller waits for.
 * - `ask`: watches that ask and are answered at once.
 * - `vital`: what everything rests on, held by the agent until there is news.
 * - `many`: chains and instances of upstreams, held for a while.
 */
export type Purpose = "call" | "ask" | "vital" | "many"

export type Sizes = Readonly<Record<Purpose, number>>

/** How many processes with one task share what the agent allows. */
export const Sharers = Context.Reference<number>("effect-mesh/consul/Connections/Sharers", { defaultValue: () => 1 })

/** Of the vital ones: for questions whose number does not depend on that of services. */
const forAll = 24

/** The part of one of so many processes: 16, 16, 64 and 80 of one. Many of them have more together, of which they use little. */
export const sizes = (sharers: number): Sizes => {
  const part = (all: number, least: number) => Math.max(least, Math.floor(all / sharers))
  return { call: part(16, 4), ask: part(16, 4), vital: forAll + part(40, 8), many: part(80, 8) }
}

/** So many of the vital line are held for single services. */
export const heldInTime = ({ vital }: Sizes): number => vital - forAll

/** So many of the many are held for as long as they like. The other connections go round among the rest. */
export const manyAtLeisure = ({ many }: Sizes): number => many / 2

export interface Line {
  /** Runs `request` once a connection is free. */
  readonly through: <A, E, R>(request: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** Longer than this is worth a line in the log: milliseconds. Where turns are taken, that is how it has to be. */
const long: Readonly<Record<Purpose, number>> = { call: 1000, ask: 1000, vital: 1000, many: 30_000 }

/** Between two lines in the log. */
const quiet = 60_000

export const line = Effect.fnUntraced(function*(purpose: Purpose, size: number, address: string) {
  const free = yield* Semaphore.make(size)
  const waits = Meter.distribution(MetricCatalogue.agentWaits, { purpose }, yield* Effect.context<never>())
  /** Those that have a connection, and those that wait for one. */
  let present = 0
  let saidAt: number | undefined
  yield* Meter.follow(MetricCatalogue.agentWaiting, { purpose }, () => Math.max(0, present - size))

  /** Counts a wait that began at `since`. */
  const waited = (since: number) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      waits.record((now - since) / 1000)
      if (now - since < long[purpose] || (saidAt !== undefined && now - saidAt < quiet)) return Effect.void
      saidAt = now
      return Effect.logWarning(
        `a request to the agent at ${address} has waited ${Duration.format(Duration.millis(now - since))} for one of ` +
          `${size} connections (${purpose}), and ${Math.max(0, present - size)} more wait`
      )
    })

  const self: Line = {
    through: (request) =>
      Effect.uninterruptibleMask((restore) => {
        const first = ++present <= size
        const once = first ? Semaphore.withPermit(free, request) : Effect.flatMap(
          Clock.currentTimeMillis,
          (since) => Semaphore.withPermit(free, Effect.andThen(waited(since), request))
        )
        return Effect.ensuring(restore(once), Effect.sync(() => present--))
      })
  }
  return self
})
