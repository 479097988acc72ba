/** From the mesh to the local application. The application is dialled only for callers that have been admitted. */
import { type Duration, Effect, Function, type Schedule, type Scope } from "effect"
import * as Listening from "../net/Listening.ts"
import * as MeshListener from "../inbound/MeshListener.ts"
import * as Splice from "../net/Splice.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import type * as Intentions from "../watch/Intentions.ts"
import type * as ProxyRegistration from "../watch/ProxyRegistration.ts"
import * as Application from "./Application.ts"
import type * as Listener from "./Listener.ts"

export interface Options {
  readonly drain?: Duration.Input | undefined
  readonly reauthorize?: Schedule.Schedule<unknown> | undefined
}

/** What can not change while it is open. */
export const keyOf = ({ handshakeTimeoutMillis, listen }: ProxyRegistration.Registration): string =>
  JSON.stringify([listen.host, listen.port, handshakeTimeoutMillis])

export const make = Effect.fnUntraced(function*(
  registration: ProxyRegistration.Registration,
  options: Options
): Effect.fn.Return<
  Listener.Listener,
  Listening.ListenError,
  SecureContexts.SecureContexts | Intentions.Intentions | Scope.Scope
> {
  let settings = registration

  const handle = (caller: MeshListener.Connection) =>
    Splice.spliceWith(
      caller,
      Application.connect(settings.application, settings.applicationConnectTimeoutMillis),
      Function.constVoid
    )

  const listener = yield* MeshListener.make({
    ...registration.listen,
    handle,
    handshakeTimeout: registration.handshakeTimeoutMillis,
    maxConnections: registration.maxInboundConnections,
    drain: options.drain,
    reauthorize: options.reauthorize
  })
  return {
    address: Listening.format(listener),
    stop: listener.stop,
    idle: listener.idle,
    counts: listener.stats,
    update: (next) =>
      Effect.sync(() => {
        settings = next
        listener.setMaxConnections(next.maxInboundConnections)
      })
  }
})
