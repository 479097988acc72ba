/**
 * Several processes that do what this one was asked to do, with the same ports, to use more than one core. This process accepts the
 * connections and hands them out in turn; it carries no bytes, and holds no policy. Each worker watches, judges and relays by itself:
 * what goes wrong in one ends the connections of that one.
 *
 *     forked ─▶ Starting ─▶ Running ─▶ ended ─┬─▶ Left, which it says after a drain: it is not started again
 *                   ▲                         └─▶ Waiting, however it ended
 *                   └──────── on a Schedule ────────┘
 *
 * A worker that ends before any of them takes connections ends all: what is wrong is wrong for each.
 */
import Cluster, { type Worker as Child } from "node:cluster"
import { Clock, Deferred, Duration, Effect, Option, Schedule, Schema, type Scope } from "effect"
import type * as Documents from "../../admin/Documents.ts"
import * as MetricCatalogue from "../../observe/MetricCatalogue.ts"
import * as Meter from "../../observe/Meter.ts"
import * as Worker from "./Worker.ts"

export interface Options {
  readonly count: number
  /** The socket where a worker is asked for what operators want to know, by its index. */
  readonly admin: (index: number) => string | null
  /** How long a worker has to leave, before it is killed. */
  readonly patience: Duration.Input
}

/** What is wrong is in its own lines. */
export class NotStarted extends Schema.TaggedError<NotStarted>()("NotStarted", {
  worker: Schema.Int,
  how: Schema.String
}) {
  override readonly message =
    `worker ${this.worker} ended with ${this.how} before it took connections: its lines above say why`
}

export type Status = typeof Documents.Worker.Type

export interface Workers {
  readonly status: () => ReadonlyArray<Status>
  /** Starts them, and waits until all of them have left. Interrupted, they leave first. */
  readonly run: Effect.Effect<void, NotStarted>
  /** Has them open their log files again. */
  readonly hangUp: () => void
}

interface Entry {
  readonly worker: number
  child: Child | undefined
  state: Status["state"]
  restarts: number
}

export const make = (options: Options): Workers => {
  const entries = Array.from({ length: options.count }, (_, i): Entry => ({
    worker: i + 1,
    child: undefined,
    state: "Starting",
    restarts: 0
  }))
  return {
    status: () =>
      entries.map(({ child, restarts, state, worker }) => ({
        worker,
        pid: child?.process.pid ?? null,
        state,
        restarts
      })),
    run: Effect.gen(function*() {
      // Whoever connects next gets the next worker, however few they are. The kernel would choose by chance.
      Cluster.schedulingPolicy = Cluster.SCHED_RR
      process.umask(0o077)
      const accepted = yield* Deferred.make<void>()
      yield* Effect.forEach(entries, (entry) => supervise(entry, accepted, options), {
        concurrency: "unbounded",
        discard: true
      })
    }),
    hangUp: () => entries.forEach(({ child }) => child?.process.kill("SIGHUP"))
  }
}

/** One that has run for so long is started again at once, and from the beginning of the schedule. */
const lastingMillis = 60_000

const restart = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")])

/** It ended, and nobody had asked it to. */
class Ended extends Schema.TaggedError<Ended>()("Ended", { hasLasted: Schema.Boolean }) {}

const supervise = (
  entry: Entry,
  accepted: Deferred.Deferred<void>,
  options: Options
): Effect.Effect<void, NotStarted> => {
  const once = Effect.gen(function*() {
    entry.state = "Starting"
    const child = yield* forked(entry, options)
    child.on("message", (word: Worker.Word) => {
      entry.state = word === "left" ? "Left" : "Running"
      if (word === "accepting") Deferred.doneUnsafe(accepted, Effect.void)
    })
    const began = yield* Clock.currentTimeMillis
    const how = yield* exitOf(child)
    if (isLeft(entry)) return
    if (!(yield* Deferred.isDone(accepted))) return yield* new NotStarted({ worker: entry.worker, how })
    entry.state = "Waiting"
    entry.restarts++
    yield* Effect.logError(
      `worker ${entry.worker} ended with ${how}: its connections are cut. It is started again; others are not touched`
    )
    return yield* new Ended({ hasLasted: (yield* Clock.currentTimeMillis) - began > lastingMillis })
  })
  const supervised: Effect.Effect<void, NotStarted> = Effect.scoped(once).pipe(
    Effect.retry({
      schedule: restart,
      while: (error) => error._tag === "Ended" && !error.hasLasted
    }),
    Effect.catchTag("Ended", () => supervised)
  )
  const attributes = { worker: String(entry.worker) }
  return Effect.andThen(
    Effect.all([
      Meter.follow(MetricCatalogue.workerRunning, attributes, () => entry.state === "Running" ? 1 : 0),
      Meter.follow(MetricCatalogue.workerRestarts, attributes, () => entry.restarts)
    ]),
    supervised
  ).pipe(Effect.scoped)
}

/** The sockets that workers listen on are made in this process: closed to others, until a worker opens them as it is told to. */
const umask = Worker.current === undefined ? process.umask() : 0

const forked = (entry: Entry, { admin, count, patience }: Options): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { worker } = entry
      const told = Worker.encode({ index: worker, of: count, admin: admin(worker), umask })
      entry.child = Cluster.fork({ [Worker.variable]: told })
      return entry.child
    }),
    (child) =>
      Effect.suspend(() => {
        child.process.kill("SIGTERM")
        return Effect.timeoutOption(exitOf(child), patience)
      }).pipe(
        Effect.flatMap((ended) => Option.isSome(ended) ? Effect.void : killed(child, entry.worker, patience)),
        Effect.ensuring(Effect.sync(() => entry.child = undefined))
      )
  )

const killed = (child: Child, worker: number, patience: Duration.Input) =>
  Effect.suspend(() => {
    child.process.kill("SIGKILL")
    const time = Duration.format(Duration.fromInputUnsafe(patience))
    return Effect.andThen(
      Effect.logError(`worker ${worker} did not end within ${time} of being told to, and is killed`),
      exitOf(child)
    )
  })

/** It says so itself. */
const isLeft = ({ state }: Entry): boolean => state === "Left"

/** `code 1`, the name of a signal, or why it did not even start. */
const exitOf = (child: Child): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const { process } = child
    const ended = () => resume(Effect.succeed(process.signalCode ?? `code ${process.exitCode}`))
    if (process.exitCode !== null || process.signalCode !== null) return ended()
    const failed = ({ message }: Error) => resume(Effect.succeed(message))
    process.once("exit", ended)
    child.once("error", failed)
    return Effect.sync(() => {
      process.off("exit", ended)
      child.off("error", failed)
    })
  })
