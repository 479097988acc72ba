/** The connections to one instance for HTTP: undici's pool, over connections of the mesh. */
import * as Undici from "@effect/platform-node/Undici"
import { Effect } from "effect"
import * as Lifetimes from "../../net/Lifetimes.ts"
import * as Listening from "../../net/Listening.ts"
import * as Tracing from "../../observe/Tracing.ts"
import * as OrderlyEnd from "../../tls/OrderlyEnd.ts"
import type * as TcpRoute from "../../route/TcpRoute.ts"
import type * as Endpoints from "../../watch/Endpoints.ts"
import type * as Connect from "../Connect.ts"
import * as Destination from "../Destination.ts"
import type * as DialError from "../DialError.ts"
import type * as Pooling from "./Pooling.ts"

/** Of one instance. */
export interface PoolOptions {
  /** Connections at a time; more requests wait. Default: 1024, as Consul's sidecars. */
  readonly connections?: number | undefined
  /** How long a connection is kept without a request. Default: 30 seconds. */
  readonly idleMillis?: number | undefined
  /** How long a connection takes new requests. Default: no limit. */
  readonly maxAgeMillis?: number | undefined
  /** The part of that which is left to chance, so that connections made at once do not end at once. Default: 0.1. */
  readonly ageJitter?: number | undefined
  /** Offers HTTP/2, many requests on a connection. Default: HTTP/1.1 alone. */
  readonly http2?: boolean | undefined
}

export interface InstancePool extends Pooling.Pool {
  /** A connection that is made for the request becomes part of its trace. */
  readonly dispatch: (
    request: Undici.Dispatcher.DispatchOptions,
    handler: Undici.Dispatcher.DispatchHandler,
    traced: Tracing.Traced | undefined
  ) => boolean
}

/** Connects to an instance of a target. */
export type Open = (
  target: TcpRoute.Target,
  endpoint: Endpoints.Endpoint,
  timeoutMillis: number,
  alpn: ReadonlyArray<string>
) => Effect.Effect<Connect.Connection, DialError.Reason>

/** To one instance: `max_connections` of Envoy where nothing else is said, and so of Consul's sidecars. */
const maxConnections = 1024

export const pooling = (open: Open, options: PoolOptions): Pooling.Pooling<InstancePool> => (reached, run) =>
  make(reached, open, run, options)

const make = (
  { endpoint, service, target, timeoutMillis }: Pooling.Reached,
  open: Open,
  run: (effect: Effect.Effect<void>) => void,
  { ageJitter = 0.1, connections = maxConnections, http2 = false, idleMillis = 30_000, maxAgeMillis }: PoolOptions
): InstancePool => {
  // For requests that bring no host.
  const origin = `http://${service.replaceAll(/[^\w.-]/g, "-")}`
  const about = {
    [Tracing.attributes.destination]: Destination.serviceOf(target, endpoint),
    [Tracing.attributes.instance]: endpoint.id,
    [Tracing.attributes.address]: Listening.format(endpoint.address)
  }
  const alpn = http2 ? ["h2", "http/1.1"] : ["http/1.1"]
  /** While a request is handed to the pool: the one that a connection is made for. */
  let dialledFor: Tracing.Traced | undefined
  const pool = new Undici.Pool(origin, {
    connections,
    clientTtl: maxAgeMillis ?? null,
    keepAliveTimeout: idleMillis,
    allowH2: http2,
    connect: (_, callback) =>
      run(Effect.match(Tracing.dialling(open(target, endpoint, timeoutMillis(), alpn), about, dialledFor), {
        onSuccess: ({ socket }) => {
          OrderlyEnd.hideResets(socket)
          callback(null, socket)
        },
        onFailure: (error) => callback(error, null)
      }))
  })
  if (maxAgeMillis !== undefined) pool.on("connect", (_, made) => grow(made, maxAgeMillis, ageJitter))
  return {
    dispatch: (request, handler, traced) => {
      if (traced === undefined) return pool.dispatch(request, handler)
      dialledFor = traced
      try {
        return pool.dispatch(request, handler)
      } finally {
        dialledFor = undefined
      }
    },
    close: Effect.promise(() => pool.close()),
    destroy: Effect.promise(() => pool.destroy())
  }
}

/** The pool has noted when they were made, as `ttl`: some are made to look older. */
const grow = (made: ReadonlyArray<object>, maxAgeMillis: number, jitter: number): void => {
  const left = Lifetimes.jittered(maxAgeMillis, jitter, Math.random())
  for (const one of made) Object.assign(one, { ttl: Date.now() - (maxAgeMillis - left) })
}
