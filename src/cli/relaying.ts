/** What a command that relays for others does around its work: it tunes the process, and has telemetry, the agent and a log. */
import { Effect, Layer, type Scope } from "effect"
import * as GarbageCollection from "../sidecar/GarbageCollection.ts"
import * as IdleMemory from "../sidecar/IdleMemory.ts"
import * as AccessLogWriter from "../sidecar/log/AccessLogWriter.ts"
import * as Consul from "./consul.ts"
import { reopenOnHangup } from "./executable.ts"
import * as Log from "./Log.ts"
import * as Telemetry from "./proxy/Telemetry.ts"
import * as Refusals from "./refusals.ts"

type Options = Parameters<typeof Consul.layer>[0] & Log.Options & Parameters<typeof Refusals.layer>[0]

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
  }).pipe(Effect.scoped)
