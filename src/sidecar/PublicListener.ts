/**
 * From the mesh to the local application. The application is dialled only for callers that have been admitted: where the service
 * speaks HTTP, for requests that have been.
 */
import { Duration, Effect, Function, type Schedule, type Scope } from "effect"
import * as Listening from "../net/Listening.ts"
import * as ConnectionPolicy from "../inbound/http/ConnectionPolicy.ts"
import * as MeshListener from "../inbound/MeshListener.ts"
import * as Splice from "../net/Splice.ts"
import type * as Substitution from "../observe/Substitution.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import * as Intentions from "../watch/Intentions.ts"
import type * as JwtProviders from "../watch/JwtProviders.ts"
import type * as MeshDefaults from "../watch/MeshDefaults.ts"
import type * as ProxyRegistration from "../watch/ProxyRegistration.ts"
import * as Application from "./Application.ts"
import * as PublicHttp from "./http/PublicHttp.ts"
import type * as Listener from "./Listener.ts"

export interface Options {
  readonly drain?: Duration.Input | undefined
  readonly reauthorize?: Schedule.Schedule<unknown> | undefined
  readonly log: () => ((facts: Substitution.Facts) => void) | undefined
}

/** What can not change while it is open. */
export const keyOf = ({ handshakeTimeoutMillis, listen }: ProxyRegistration.Registration): string =>
  JSON.stringify([listen.host, listen.port, handshakeTimeoutMillis])

/** For the last words to a caller that may do nothing any more: its requests at hand have been ended. */
const deniedGraceMillis = 1000

export const make = Effect.fnUntraced(function*(
  registration: ProxyRegistration.Registration,
  options: Options
): Effect.fn.Return<
  Listener.Listener,
  Listening.ListenError,
  | SecureContexts.SecureContexts
  | Intentions.Intentions
  | JwtProviders.JwtProviders
  | MeshDefaults.MeshDefaults
  | Scope.Scope
> {
  let settings = registration
  const intentions = yield* Intentions.Intentions
  const http = yield* PublicHttp.make(registration, options)
  const drainMillis = Duration.toMillis(Duration.fromInputUnsafe(options.drain ?? "10 seconds"))

  const relay = (caller: MeshListener.Connection) =>
    Splice.spliceWith(
      caller,
      Application.connect(settings.application, settings.applicationConnectTimeoutMillis),
      Function.constVoid
    )

  const listener = yield* MeshListener.make({
    ...registration.listen,
    // As it was let in: what the service speaks may be about to change.
    handle: (caller): Effect.Effect<unknown, Application.ApplicationUnreachable> =>
      ConnectionPolicy.isLeftToRequests(caller.decision) ? http.serve(caller) : relay(caller),
    handshakeTimeout: registration.handshakeTimeoutMillis,
    maxConnections: registration.maxInboundConnections,
    drain: options.drain,
    reauthorize: options.reauthorize,
    // One whose requests are judged may stay as long as they are; what came as bytes goes on as such.
    keep: (connection, current) =>
      ConnectionPolicy.isLeftToRequests(connection.decision)
        ? current.connection(connection.caller)
        : ConnectionPolicy.mayStay(http.gate.authorizer(), connection),
    retire: (connection, why) =>
      ConnectionPolicy.isLeftToRequests(connection.decision)
        ? http.retire(connection, why === "denied" ? deniedGraceMillis : drainMillis)
        : connection.reset()
  }).pipe(Effect.provideService(Intentions.Intentions, ConnectionPolicy.intentions(intentions)))
  const stop = Effect.andThen(listener.stop, http.drain)
  yield* Effect.addFinalizer(() => stop)
  return {
    address: Listening.format(listener),
    stop,
    idle: listener.idle,
    counts: listener.stats,
    update: (next) =>
      Effect.sync(() => {
        settings = next
        http.update(next)
        listener.setMaxConnections(next.maxInboundConnections)
      })
  }
})
