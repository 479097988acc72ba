/**
 * The instances of one service for connections: waits for their lists, connects to the one that `InstancePicker` picks, and goes to
 * another one where that fails. Each attempt is reported as Envoy does it: a connection that does not get through TCP and
 * TLS is a failure, one that does is a success.
 */
import { Cause, Effect, Exit, Function, Option, type Scope } from "effect"
import type * as Splice from "../net/Splice.ts"
import * as Tracing from "../observe/Tracing.ts"
import type * as TcpRoute from "../route/TcpRoute.ts"
import type * as Endpoints from "../watch/Endpoints.ts"
import * as Destination from "./Destination.ts"
import type * as DestinationStatus from "./DestinationStatus.ts"
import type * as DestinationWatch from "./DestinationWatch.ts"
import * as DialError from "./DialError.ts"
import * as Ejections from "./Ejections.ts"
import * as InstancePicker from "./InstancePicker.ts"
import type * as Resolver from "./Resolver.ts"
import * as Tried from "./Tried.ts"

/** What is called, and how its instances are found out. */
export interface Followed<R>
  extends Pick<Resolver.Resolver, "name" | "patienceMillis">, Partial<Pick<Resolver.Resolver, "passiveHealthCheck">>
{
  readonly follow: Effect.Effect<DestinationWatch.DestinationWatch, never, R | Scope.Scope>
}

export interface TcpUpstream {
  /** A new connection, made by `open`, which the caller has to close. */
  readonly connect: <C extends Splice.Side>(open: Open<C>) => Effect.Effect<C, DialError.DialError>
  /** The same at once where `now` has one, without a fiber. */
  readonly reach: <C extends Splice.Side>(open: Open<C>, now: Now<C>) => C | Effect.Effect<C, DialError.DialError>
  /** Undefined until the targets have arrived. */
  readonly current: () => Destination.Destination | undefined
  /** Undefined until the targets have arrived. */
  readonly status: () => ReadonlyArray<DestinationStatus.TargetStatus> | undefined
}

/** Connects to an instance of a target. */
export type Open<C extends Splice.Side> = (
  target: TcpRoute.Target,
  endpoint: Endpoints.Endpoint,
  timeoutMillis: number
) => Effect.Effect<C, DialError.Reason>

/** A connection to an instance that takes no waiting. Undefined: there is none. */
export type Now<C extends Splice.Side> = (target: TcpRoute.Target, endpoint: Endpoints.Endpoint) => C | undefined

/** Follows the instances in the scope. */
export const make = Effect.fnUntraced(function*<R = Resolver.Sources>(
  { follow, name, passiveHealthCheck, patienceMillis }: Followed<R>
): Effect.fn.Return<TcpUpstream, never, R | Scope.Scope> {
  const watch = yield* follow
  const ejected = yield* Ejections.make(name, "connections")
  const pool = InstancePicker.make<void>({
    open: Function.constVoid,
    retire: Function.constVoid,
    outliers: passiveHealthCheck
  })

  const current = () => Destination.known(watch.latest())

  const failed = (attempts: number, reason: DialError.Reason) =>
    Effect.fail(new DialError.DialError({ service: name, attempts, reason }))

  /** Interrupted only while it waits: from the pick on, a call is counted until it is over. */
  const attempt = <C extends Splice.Side>(
    open: Open<C>,
    deadline: number,
    tried: Tried.Attempts,
    picked?: InstancePicker.Instance
  ): Effect.Effect<C, DialError.DialError> =>
    Effect.uninterruptibleMask((restore) => {
      const destination = watch.latest()
      if (destination === undefined) return failed(tried.size, watch.late(patienceMillis))
      if (Destination.isUnknown(destination)) return failed(tried.size, destination)
      const now = performance.now()
      picked?.begin()
      const instance = picked ?? pool.pick(destination, { now, random: Math.random, tried })
      if (instance === undefined) return failed(tried.size, Destination.noHealthyInstance(destination))
      tried.add(instance)
      const isLast = !pool.hasUntried(destination, tried)
      const millis = Math.max(1, Math.ceil(isLast ? deadline - now : (deadline - now) / 2))
      return restore(Tracing.dialling(open(instance.target, instance.endpoint, millis), {
        [Tracing.attributes.destination]: instance.service,
        [Tracing.attributes.instance]: instance.id,
        [Tracing.attributes.address]: instance.address
      })).pipe(
        Effect.onExit((exit) => settle(instance, exit, ejected)),
        Effect.catch((reason) =>
          isLast || performance.now() >= deadline
            ? failed(tried.size, reason)
            : restore(Effect.andThen(logRetry(name, instance, reason), attempt(open, deadline, tried)))
        )
      )
    })

  const connect: TcpUpstream["connect"] = (open) =>
    Effect.suspend(() => {
      const started = performance.now()
      const known = current()
      if (known !== undefined && Destination.isDecided(known)) {
        return attempt(open, started + known.route.connectTimeoutMillis, new Tried.Attempts())
      }
      return waitForDeadline(watch, patienceMillis, started).pipe(
        Effect.catch((reason) => failed(0, reason)),
        Effect.flatMap((deadline) => attempt(open, deadline, new Tried.Attempts()))
      )
    })

  return {
    current,
    status: () => {
      const destination = current()
      return destination === undefined ? undefined : pool.status(destination, performance.now())
    },
    connect,
    reach: (open, now) => {
      const destination = current()
      if (destination === undefined || !Destination.isDecided(destination)) return connect(open)
      const started = performance.now()
      const instance = pool.pick(destination, { now: started, random: Math.random, tried: Tried.none })
      if (instance === undefined) return connect(open)
      const reached = now(instance.target, instance.endpoint)
      if (reached === undefined) {
        // It may never be begun; then it is no call.
        instance.end()
        return Effect.suspend(() =>
          attempt(open, started + destination.route.connectTimeoutMillis, new Tried.Attempts(), instance)
        )
      }
      reached.socket.once("close", instance.end)
      instance.report(true, started, 0)
      return reached
    }
  }
})

/** The call ends when its connection closes. An interrupted attempt says nothing about the instance. */
const settle = (
  instance: InstancePicker.Instance,
  exit: Exit.Exit<Splice.Side, DialError.Reason>,
  ejected: Ejections.Ejected
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const socket = Exit.isSuccess(exit) ? exit.value.socket : undefined
    if (socket === undefined || socket.closed) instance.end()
    else socket.once("close", instance.end)
    if (Exit.isFailure(exit) && !Cause.hasFails(exit.cause)) return Effect.void
    const isEjected = instance.report(Exit.isSuccess(exit), performance.now(), Math.random())
    return isEjected ? ejected(instance) : Effect.void
  })

/** When connecting has to be over, once targets and instances are known. */
const waitForDeadline = Effect.fnUntraced(function*(
  { get, late }: DestinationWatch.DestinationWatch,
  patienceMillis: number,
  started: number
): Effect.fn.Return<number, DialError.Reason> {
  const destination = yield* within(get, patienceMillis, late)
  const deadline = started + destination.route.connectTimeoutMillis
  yield* waitForLists(destination, deadline)
  return deadline
})

/** Waits for the list of each target until one has a healthy instance. Targets that are silent for too long are passed over. */
const waitForLists = Effect.fnUntraced(function*(
  { route, targets }: Destination.Destination,
  deadline: number
): Effect.fn.Return<void, DialError.Reason> {
  let silent: Destination.TargetInstances | undefined
  for (const [index, each] of targets.entries()) {
    const left = deadline - performance.now()
    const list = yield* Effect.option(
      within(each.instances.get, index === targets.length - 1 ? left : left / 2, () => "silent" as const)
    )
    if (Option.isNone(list)) silent ??= each
    else if (Destination.hasHealthy(list.value)) return
  }
  if (silent === undefined) return
  return yield* DialError.unheard(
    `the list of instances of ${silent.target.id}`,
    route.connectTimeoutMillis,
    silent.instances.freshness().lastError
  )
})

const logRetry = (name: string, instance: InstancePicker.Instance, reason: DialError.Reason): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logWarning(`${name}: ${reason.message}. Trying another instance`), {
    direction: "outbound",
    reason: reason._tag,
    destination: instance.service,
    instance: instance.id,
    remote: instance.address
  })

const within = <A, E, E2>(
  self: Effect.Effect<A, E>,
  millis: number,
  orElse: (millis: number) => E2
): Effect.Effect<A, E | E2> =>
  Effect.timeoutOrElse(self, { duration: Math.max(0, millis), orElse: () => Effect.fail(orElse(millis)) })
