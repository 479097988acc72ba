/** What a command that relays for others does around its work: it tunes the process, and has telemetry, the agent and a log. */
import { Effect, Layer, type Scope } from "effect"
import * as Connections from "../consul/Connections.ts"
import * as GarbageCollection from "../sidecar/GarbageCollection.ts"
import * as IdleMemory from "../sidecar/IdleMemory.ts"
import * as AccessLogWriter from "../sidecar/log/AccessLogWriter.ts"
import * as Consul from "./consul.ts"
import { reopenOnHangup } from "./executable.ts"
import * as Log from "./Log.ts"
import * as Telemetry from "./proxy/Telemetry.ts"
import * as Refusals from "./refusals.ts"
import type * as Supervise from "./workers/Supervise.ts"
import * as Worker from "./workers/Worker.ts"

type Options = Parameters<typeof Consul.layer>[0] & Log.Options & Parameters<typeof Refusals.layer>[0]

/** Does `work`, or has workers do it. `check` finds what is wrong for each of them, so that it is said once. */
export const relayingByWorkers = Effect.fnUntraced(function*<E, R, E2, R2>(
  options: Options & Supervise.Options,
  work: Effect.Effect<void, E, R | Scope.Scope>,
  check: Effect.Effect<unknown, E2, R2>
) {
  if (options.workers === 1 || Worker.current !== undefined) return yield* relaying(options, Worker.working(work))
  yield* relaying(options, Effect.andThen(check, supervise(options)))
})

/** Loaded here, so that a process on its own does not carry it around. */
const supervise = (options: Supervise.Options) =>
  Effect.flatMap(Effect.promise(() => import("./workers/Supervise.ts")), ({ supervise }) => supervise(options))

/** `silent`: it only prints something, and exports nothing. */
export const relaying = <A, E, R>(
  options: Options,
  work: Effect.Effect<A, E, R | Scope.Scope>,
  { silent = false }: { readonly silent?: boolean } = {}
) =>
  Effect.gen(function*() {
    GarbageCollection.tuneForRelaying()
    yield* IdleMemory.giveBack
    reopenOnHangup(yield* AccessLogWriter.Reopening)
    const telemetry = silent
      ? Telemetry.none
      : yield* Effect.provide(Telemetry.open(process.env), Log.layer(options))
    // The scope closes inside: what has to be said to the agent at the end needs the client.
    return yield* work.pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mergeAll(Consul.layer(options), Log.layer(options, telemetry.loggers), Refusals.layer(options))
      ),
      Effect.provideContext(telemetry.context)
    )
  }).pipe(Effect.scoped, Effect.provideService(Connections.Sharers, Worker.current?.of ?? 1))
