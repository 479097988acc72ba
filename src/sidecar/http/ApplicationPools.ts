/** The connections of a sidecar to its application: over HTTP/1.1, and over HTTP/2 where the application speaks both. */
import { Effect, type Scope } from "effect"
import * as Circuit from "../../http/relay/Circuit.ts"
import type * as Exchange from "../../http/relay/Exchange.ts"
import * as Http1Connections from "../../http/relay/Http1Connections.ts"
import * as Http2Connections from "../../http/relay/Http2Connections.ts"
import * as Fibers from "../../net/Fibers.ts"
import * as Listening from "../../net/Listening.ts"
import * as Sweep from "../../net/Sweep.ts"
import type * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import * as Application from "../Application.ts"
import * as TransportFailure from "../log/TransportFailure.ts"

/** What is known of the application. */
export type Settings = Pick<
  ProxyRegistration.Registration,
  "application" | "applicationConnectTimeoutMillis" | "maxInboundConnections"
>

export interface ApplicationPools {
  readonly of: (version: Exchange.Version) => Exchange.Connections
  /** New connections go there from now on. */
  readonly update: (settings: Settings) => void
}

/** Many an application closes a connection after five seconds without a request, just as the next one arrives. */
const idleMillis = 4000

interface Pools {
  readonly key: string
  readonly http1: Http1Connections.Http1Connections
  readonly http2: Http2Connections.Http2Connections
  readonly circuit: Circuit.Circuit
}

export const make = Effect.fnUntraced(function*(
  first: Settings,
  connect: Application.Connect = Application.connect
): Effect.fn.Return<ApplicationPools, never, Scope.Scope> {
  const { run } = yield* Fibers.make()
  const open = (settings: Settings): Pools => {
    const circuit = Circuit.make(limitsOf(settings))
    const optionsOf = (version: "1.1" | "2") => ({
      remote: Listening.format(settings.application),
      open: Effect.mapError(
        connect(settings, version),
        ({ code, message }) => ({ timedOut: false, why: message, transport: TransportFailure.ofCode(code) })
      ),
      run,
      circuit,
      idleMillis
    })
    return {
      key: keyOf(settings),
      circuit,
      http1: new Http1Connections.Http1Connections(optionsOf("1.1")),
      http2: new Http2Connections.Http2Connections(optionsOf("2"))
    }
  }
  let current = open(first)
  yield* Effect.addFinalizer(() => Effect.andThen(current.http1.destroy, current.http2.destroy))
  yield* Sweep.every(() => 500, () => {
    const now = performance.now()
    current.http1.sweep(now)
    current.http2.sweep(now)
  })
  return {
    of: (version) => version === "2" ? current.http2 : current.http1,
    update: (settings) => {
      current.circuit.limits = { ...Circuit.defaults, ...limitsOf(settings) }
      if (keyOf(settings) === current.key) return
      const left = current
      current = open(settings)
      run(Effect.andThen(left.http1.close, left.http2.close))
    }
  }
})

const keyOf = ({ application, applicationConnectTimeoutMillis }: Settings): string =>
  JSON.stringify([application, applicationConnectTimeoutMillis])

/** As Consul has it: the limit of callers is that of connections to the application, too. */
const limitsOf = ({ maxInboundConnections: most }: Settings): Partial<Circuit.Limits> =>
  most > 0 ? { maxConnections: most, maxPendingRequests: most, maxConcurrentRequests: most } : {}
