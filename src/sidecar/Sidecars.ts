/**
 * Several sidecars in one process, as many as are registered: of the services that are named, or of the whole agent. They share
 * the client, and so what several of them watch. Each is supervised by itself:
 *
 *     registered ─▶ Starting ─▶ Running ─▶ Stopping ─▶ gone
 *                      ▲    ╲   ╱   ╲        │  deregistered for a while, or the process stops
 *                      └── Waiting   Left ───┘  started again on a Schedule, whatever went wrong with it; left: by a `leave`
 *
 * A sidecar that is taken out of the agent goes on for a while: an agent that was started again, and tools that register anew,
 * take it out and bring it back.
 */
import {
  Cause,
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  FiberSet,
  Layer,
  Option,
  Schedule,
  type Scope,
  Stream
} from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as Listening from "../net/Listening.ts"
import * as MetricCatalogue from "../observe/MetricCatalogue.ts"
import * as Meter from "../observe/Meter.ts"
import * as NodeProxies from "../watch/NodeProxies.ts"
import * as Watched from "../watch/Watched.ts"
import * as ConsulSidecar from "./ConsulSidecar.ts"
import * as Selection from "./Selection.ts"
import type * as Sidecar from "./Sidecar.ts"

export interface Options extends ConsulSidecar.Options {
  readonly wanted: Selection.Wanted
  /** When a sidecar that could not start, or has failed, is started again. Default: after 1 second, doubled up to 1 minute. */
  readonly restart?: Schedule.Schedule<unknown> | undefined
  /** How long a sidecar goes on without its registration. Default: 10 seconds. */
  readonly keep?: Duration.Input | undefined
  /** Hears of each sidecar that accepts, each time it has started. */
  readonly started?: ((sidecar: ConsulSidecar.ConsulSidecar) => Effect.Effect<void>) | undefined
}

export type State =
  | { readonly _tag: "Starting" }
  | { readonly _tag: "Running"; readonly sidecar: ConsulSidecar.ConsulSidecar }
  /** It could not start, or has failed, and is started again. */
  | { readonly _tag: "Waiting"; readonly why: string }
  /** It has left, as it was told to. It is not started again before its registration has gone. */
  | { readonly _tag: "Left" }
  /** Not registered any more; open connections go on. Undefined: it did not run. */
  | { readonly _tag: "Stopping"; readonly sidecar: ConsulSidecar.ConsulSidecar | undefined }

/** One sidecar of the process. */
export interface Member {
  /** As it was asked for: the ID of its service, or its own where all of the agent are wanted. */
  readonly name: string
  readonly proxyId: string
  readonly service: string
  readonly state: State
  /** How often it was started again. */
  readonly restarts: number
}

export interface Status {
  /** In the order in which they came. */
  readonly members: ReadonlyArray<Member>
  /** What is named and can not be served. */
  readonly missing: ReadonlyArray<Selection.Missing>
}

export interface Sidecars {
  /** Synchronous and cheap. */
  readonly status: () => Status
  /** The agent has said which sidecars there are; fails if it does not in time. */
  readonly heard: Effect.Effect<void, Watched.NotReady>
  /** Waits until all of them have left, as they were told to. */
  readonly left: Effect.Effect<void>
}

/** At once. Nothing ends them but the scope. */
export const make = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<
  Sidecars,
  never,
  ConsulClient.ConsulClient | Scope.Scope
> {
  const { address } = yield* ConsulClient.ConsulClient
  const registered = Context.get(yield* Layer.build(NodeProxies.layer), NodeProxies.NodeProxies)
  const keepMillis = Duration.toMillis(Duration.fromInputUnsafe(options.keep ?? "10 seconds"))
  const fibers = yield* FiberSet.make<void>()
  const run = yield* FiberSet.runtime(fibers)<ConsulClient.ConsulClient>()
  const entries = new Set<Entry>()
  /** By what they are: a proxy that comes to serve another service is another one. */
  const wanted = new Map<string, Entry>()
  let missing: ReadonlyArray<Selection.Missing> = options.wanted === "node"
    ? []
    : options.wanted.map((name) => ({ name, why: `the agent at ${address} has not said yet which sidecars there are` }))
  const nameOf = (proxy: NodeProxies.NodeProxy) => options.wanted === "node" ? proxy.proxyId : proxy.serviceId
  yield* Effect.addFinalizer(() => Effect.sync(() => entries.forEach(stopping)))

  const leaving = yield* Deferred.make<void>()
  const left = Effect.suspend(() =>
    [...wanted.values()].every(({ state }) => state._tag === "Left")
      ? Deferred.succeed(leaving, undefined)
      : Effect.void
  )

  const begin = (proxy: NodeProxies.NodeProxy) => {
    const entry: Entry = { proxy, state: { _tag: "Starting" }, restarts: 0, missingSince: undefined, fiber: undefined }
    entries.add(entry)
    wanted.set(keyOf(proxy), entry)
    entry.fiber = run(annotated(
      proxy,
      Effect.onExit(supervise(entry, options), (exit) => {
        if (Exit.isSuccess(exit)) return left
        entries.delete(entry)
        return Effect.void
      })
    ))
  }

  const end = (entry: Entry) =>
    Effect.suspend(() => {
      wanted.delete(keyOf(entry.proxy))
      if (entry.state._tag === "Left") entries.delete(entry)
      stopping(entry)
      // Not waited for: its open connections have their time.
      if (entry.fiber !== undefined) run(Fiber.interrupt(entry.fiber))
      return annotated(
        entry.proxy,
        Effect.logInfo(
          `${entry.proxy.proxyId} is not registered as the proxy of ${entry.proxy.service} any more: it stops`
        )
      )
    })

  const said = new Set<string>()
  const warn = (why: string) => {
    if (said.has(why)) return Effect.void
    said.add(why)
    return Effect.logWarning(why)
  }

  const follow = Effect.fnUntraced(function*(proxies: ReadonlyArray<NodeProxies.NodeProxy>) {
    const serving = new Set(Array.from(wanted.values(), ({ proxy }) => proxy.proxyId))
    const selection = Selection.select(options.wanted, proxies, serving, address)
    missing = selection.missing
    yield* Effect.forEach(missing, ({ why }) => warn(why), { discard: true })
    if (options.wanted === "node" && proxies.length === 0) yield* warn(Selection.nothingRegistered(address))
    const chosen = new Map(selection.chosen.map((proxy) => [keyOf(proxy), proxy]))
    const now = yield* Clock.currentTimeMillis
    const ids = new Set(Array.from(chosen.values(), ({ proxyId }) => proxyId))
    for (const [key, entry] of wanted) {
      entry.missingSince = chosen.has(key) ? undefined : entry.missingSince ?? now
      // The ID serves another service now: two of them would want one port.
      if (!chosen.has(key) && ids.has(entry.proxy.proxyId)) yield* end(entry)
    }
    for (const [key, proxy] of chosen) if (!wanted.has(key)) begin(proxy)
  })

  /** Those that have been missing for long enough, each in its time. */
  const forget = Effect.suspend(() => {
    const gone = [...wanted.values()].flatMap((entry) =>
      entry.missingSince === undefined ? [] : [{ entry, until: entry.missingSince + keepMillis }]
    )
    return Effect.forEach(
      gone.toSorted((a, b) => a.until - b.until),
      ({ entry, until }) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.delay(end(entry), Math.max(0, until - now))),
      { discard: true }
    )
  })

  yield* Effect.forkScoped(
    Stream.runDrain(
      Stream.switchMap(registered.changes, (proxies) => Stream.fromEffect(Effect.andThen(follow(proxies), forget)))
    )
  )
  return {
    left: Deferred.await(leaving),
    heard: Effect.asVoid(
      Watched.readyWithin(registered, options.readyWithin ?? "30 seconds", `the agent at ${address}`)
    ),
    status: () => ({
      members: Array.from(entries, ({ proxy, restarts, state }) => ({
        name: nameOf(proxy),
        proxyId: proxy.proxyId,
        service: proxy.service,
        state,
        restarts
      })),
      missing
    })
  }
})

/** One sidecar from the time when it is wanted to its end. */
interface Entry {
  readonly proxy: NodeProxies.NodeProxy
  state: State
  restarts: number
  /** Since when it is not registered, in milliseconds. */
  missingSince: number | undefined
  fiber: Fiber.Fiber<void> | undefined
}

const runs = ({ _tag }: State): boolean => _tag === "Running"

const keyOf = ({ proxyId, service }: NodeProxies.NodeProxy): string => JSON.stringify([proxyId, service])

const stopping = (entry: Entry): void => {
  entry.state = { _tag: "Stopping", sidecar: entry.state._tag === "Running" ? entry.state.sidecar : undefined }
}

/** `mesh` is for people, who see it before each line. */
const annotated = <A, E, R>({ proxyId, service }: NodeProxies.NodeProxy, self: Effect.Effect<A, E, R>) =>
  Effect.annotateLogs(self, { mesh: proxyId, proxy: proxyId, service })

/** Of the sidecar as a whole; its listeners have schedules of their own. */
const restartSchedule = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")])

/** One that has run for so long is started again at once, and from the beginning of the schedule. */
const lastingMillis = 60_000

/** Runs until it is interrupted, or the sidecar has left. Nothing else that happens to the sidecar ends it. */
const supervise = (entry: Entry, options: Options): Effect.Effect<void, never, ConsulClient.ConsulClient> => {
  let runsSince: number | undefined
  let ranFor = 0

  const start = Effect.gen(function*() {
    const sidecar = yield* ConsulSidecar.make({ ...options, proxyId: entry.proxy.proxyId })
    entry.state = { _tag: "Running", sidecar }
    runsSince = yield* Clock.currentTimeMillis
    if (options.started !== undefined) yield* options.started(sidecar)
    yield* Effect.raceFirst(sidecar.failed, sidecar.left)
    entry.state = { _tag: "Left" }
  })

  const failed = (cause: Cause.Cause<Failure>) =>
    Effect.gen(function*() {
      if (Cause.hasInterruptsOnly(cause)) return
      const error = Option.getOrUndefined(Cause.findErrorOption(cause))
      const why = error?.message ?? `a bug: ${String(Cause.squash(cause))}`
      ranFor = runsSince === undefined ? 0 : (yield* Clock.currentTimeMillis) - runsSince
      runsSince = undefined
      entry.state = { _tag: "Waiting", why }
      entry.restarts++
      const line = `${why}. ${entry.proxy.proxyId} is started again; others are not touched`
      yield* error === undefined ? Effect.logError(line, cause) : Effect.logError(line)
    })

  const once = Effect.suspend(() => {
    entry.state = { _tag: "Starting" }
    return Effect.scoped(Effect.tapCause(start, failed))
  })

  const supervised: Effect.Effect<void, never, ConsulClient.ConsulClient> = Effect.sandbox(once).pipe(
    Effect.retry({ schedule: options.restart ?? restartSchedule, while: () => ranFor < lastingMillis }),
    // Only one that has run for long is still a failure here, unless the schedule has an end.
    Effect.catch(() => ranFor < lastingMillis ? Effect.never : supervised)
  )
  return Effect.andThen(
    Effect.all([
      Meter.follow(MetricCatalogue.sidecarRunning, attributesOf(entry), () => runs(entry.state) ? 1 : 0),
      Meter.follow(MetricCatalogue.sidecarRestarts, attributesOf(entry), () => entry.restarts)
    ]),
    supervised
  ).pipe(Effect.scoped)
}

const attributesOf = ({ proxy: { proxyId, service } }: Entry) => ({ service, proxy: proxyId })

type Failure = Watched.NotReady | Listening.ListenError | Sidecar.SidecarFailed
