/**
 * A gateway of any kind: listeners that follow what is wanted of it, from its start until it has left. See `Sidecar`, whose parts
 * these are.
 *
 *     (1) what is wanted ─▶ (2) what differs from what runs ─▶ (3) close, open or adjust those listeners, no other
 */
import { Deferred, type Duration, Effect, Metric, Schedule, Schema, type Scope, Stream } from "effect"
import type * as ConsulError from "../consul/ConsulError.ts"
import type * as Listening from "../net/Listening.ts"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as Meter from "../observe/Meter.ts"
import * as Leaving from "../sidecar/Leaving.ts"
import * as ListenerSet from "../sidecar/ListenerSet.ts"
import * as AccessLogWriter from "../sidecar/log/AccessLogWriter.ts"
import type * as Choice from "../sidecar/log/Choice.ts"
import * as Sidecar from "../sidecar/Sidecar.ts"
import type * as GatewayRegistration from "../watch/GatewayRegistration.ts"
import * as Watched from "../watch/Watched.ts"

/** When a listener that could not start is tried again. */
export const rebind: Schedule.Schedule<unknown> = Schedule.spaced("3 seconds")

export interface Options extends Leaving.Options {
  /** When a listener that could not bind is tried again. Default: every 3 seconds. */
  readonly rebind?: Schedule.Schedule<unknown> | undefined
  /** What is wanted of its access log, besides what is registered. */
  readonly accessLog?: Choice.Choice | undefined
  /** How long to wait for the agent, for each of what has to arrive. Default: 30 seconds. */
  readonly readyWithin?: Duration.Input | undefined
}

export interface Status extends Pick<Sidecar.Status, "movedTo" | "phase" | "listeners"> {
  /** The one in force. */
  readonly registration: GatewayRegistration.Registration
}

/** A part of it has ended by itself, which is a bug: the log has its cause. Only a new gateway helps. */
export class GatewayFailed extends Schema.TaggedError<GatewayFailed>()("GatewayFailed", { part: Schema.String }) {
  override readonly message = `${this.part} has ended by itself: a bug, whose cause is in the log`
}

export type Failure = Watched.NotReady | Listening.ListenError | ConsulError.ConsulError

export interface Gateway {
  /** Synchronous and cheap. */
  readonly status: () => Status
  /** Waits for ever, unless it can not go on as a whole. */
  readonly failed: Effect.Effect<never, GatewayFailed>
  /** Leaves without losing a call, and returns when it has left. Again: waits for the same. */
  readonly leave: Effect.Effect<void>
  /** Waits until it has left by a `leave`. */
  readonly left: Effect.Effect<void>
}

/** What is wanted of a gateway: its registration, and what else it comes from. */
export interface Wanted {
  readonly registration: GatewayRegistration.Registration
}

export interface Parts<A extends Wanted, R> {
  readonly wanted: Watched.Watched<A>
  /** Its listeners. */
  readonly plans: (wanted: A, log: AccessLogWriter.AccessLogWriter) => ReadonlyArray<ListenerSet.Plan<A, R>>
}

/** Ready when all listeners accept; fails when one can not bind. */
export const make = Effect.fnUntraced(function*<A extends Wanted, R>(
  { plans, wanted }: Parts<A, R>,
  options: Options
): Effect.fn.Return<Gateway, Watched.NotReady | Listening.ListenError, R | Scope.Scope> {
  const first = (yield* Watched.readyWithin(wanted, options.readyWithin ?? "30 seconds"))()
  const { proxyId, service } = first.registration
  const failure = yield* Deferred.make<never, GatewayFailed>()
  const fail = (part: string) => Deferred.fail(failure, new GatewayFailed({ part }))
  const warn = Sidecar.warnOnce()
  // Before the listeners, so that it ends after them.
  const accessLog = yield* AccessLogWriter.make({ service, choice: options.accessLog })
  const listeners = yield* ListenerSet.make<A, R>((name) => fail(`the listener ${name}`))
  let applied = first
  const { leave, left, phase } = yield* Leaving.make({
    name: proxyId,
    announce: Effect.andThen(options.announce ?? Effect.void, listeners.announce("inbound")),
    close: listeners.close,
    open: listeners.open
  }, options)

  const apply = Effect.fnUntraced(function*(next: A, again?: Schedule.Schedule<unknown>) {
    applied = next
    accessLog.follow(next.registration.accessLogs)
    yield* warn(next.registration.ignored)
    return yield* listeners.apply(plans(next, accessLog), next, again)
  })

  const names = new Set(plans(first, accessLog).filter(({ later }) => later === undefined).map(({ name }) => name))
  for (const { bound, name } of yield* apply(first)) if (names.has(name)) yield* bound
  yield* Meter.follow(MetricCatalogue.sidecarRunning, { service, proxy: proxyId }, () => 1)
  yield* Effect.forkScoped(
    Stream.runForEach(wanted.changes, (next) => {
      if (next === applied || phase() !== "serving") return Effect.void
      return Effect.andThen(
        Effect.logInfo(`what is wanted of ${proxyId} has changed`),
        apply(next, options.rebind ?? rebind)
      )
    }).pipe(
      Effect.tapDefect((defect) => Effect.logError(`${proxyId} does not follow what is wanted of it any more`, defect)),
      Effect.onError(() => fail("what follows the registration"))
    )
  )
  return {
    failed: Deferred.await(failure),
    leave,
    left,
    status: () => ({
      registration: applied.registration,
      movedTo: undefined,
      phase: phase(),
      listeners: listeners.status()
    })
  }
})

/** As sidecars are: see `ConsulSidecar`. */
export const inTheNameOf = <A, E, R>(service: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  self.pipe(
    Effect.updateService(Metric.CurrentMetricAttributes, (attributes) => ({ ...attributes, service })),
    Effect.annotateLogs({ service })
  )
