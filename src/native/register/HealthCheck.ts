/**
 * How an agent learns whether an instance is well: the instance says so again and again, and is taken for dead once it
 * stays silent (a TTL check), or the agent asks at an HTTP endpoint that is served for it, in plain text beside the mesh.
 */
import * as Http from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Cause, Duration, Effect, Exit, type Scope } from "effect"
import { HttpServerResponse } from "effect/http"
import * as GoDuration from "../../consul/GoDuration.ts"
import type * as KeptRegistration from "../../mesh/KeptRegistration.ts"
import * as Listening from "../../net/Listening.ts"

export interface Options<R> {
  /** Asked each time; a failure tells callers to turn away, and its message is what operators see. Default: always well. */
  readonly healthy?: Effect.Effect<unknown, unknown, R> | undefined
  /** Without a sign of life for this long, the agent takes the instance for dead. Default: 30 seconds. */
  readonly ttl?: Duration.Input | undefined
  /** Has the agent ask at an endpoint instead. */
  readonly http?: Endpoint | undefined
  /** Once it was not well for this long, the agent forgets the instance. At least a minute. Default: never. */
  readonly deregisterAfter?: Duration.Input | undefined
}

/** `GET` answers 200, or 503 with what is wrong. */
export interface Endpoint {
  /** An IP address that the agent can reach. Default: `127.0.0.1`. */
  readonly host?: string | undefined
  /** Default: any free one. */
  readonly port?: number | undefined
  /** How often the agent asks, and how long it waits for the answer. Default: 10 seconds. */
  readonly interval?: Duration.Input | undefined
}

export interface HealthCheck<R> extends Omit<KeptRegistration.Check<R>, "id"> {
  /** As the agent's check is defined. */
  readonly definition: {
    readonly Status: KeptRegistration.Status
    readonly TTL?: string
    readonly HTTP?: string
    readonly Interval?: string
    readonly Timeout?: string
    readonly DeregisterCriticalServiceAfter?: string
  }
}

export const make = Effect.fnUntraced(function*<R = never>(options: Options<R>): Effect.fn.Return<
  HealthCheck<R>,
  Listening.ListenError,
  Scope.Scope | R
> {
  const { deregisterAfter, http } = options
  const ttl = Duration.fromInputUnsafe(options.ttl ?? "30 seconds")
  const interval = Duration.fromInputUnsafe(http?.interval ?? "10 seconds")
  let last: KeptRegistration.Status = "critical"
  const report = examine(options.healthy ?? Effect.void, http === undefined ? Duration.times(ttl, 1 / 3) : interval)
    .pipe(
      Effect.tap(({ status }) =>
        Effect.sync(() => {
          last = status
        })
      )
    )
  const common = {
    Status: (yield* report).status,
    ...(deregisterAfter === undefined
      ? {}
      : { DeregisterCriticalServiceAfter: GoDuration.format(Duration.fromInputUnsafe(deregisterAfter)) })
  }
  if (http === undefined) {
    return {
      definition: { ...common, TTL: GoDuration.format(ttl) },
      period: Duration.times(ttl, 1 / 3),
      tell: report,
      last: () => last
    }
  }
  const every = GoDuration.format(interval)
  return {
    definition: { ...common, HTTP: yield* serve(http, report), Interval: every, Timeout: every },
    period: interval,
    tell: undefined,
    last: () => last
  }
})

/** A check that takes too long has failed: who waits for an instance does not know that it only hangs. */
const examine = <R>(
  healthy: Effect.Effect<unknown, unknown, R>,
  within: Duration.Duration
): Effect.Effect<KeptRegistration.Report, never, R> =>
  healthy.pipe(
    Effect.timeoutOrElse({
      duration: within,
      orElse: () => Effect.fail(`no answer within ${Duration.format(within)}`)
    }),
    Effect.exit,
    Effect.map((exit): KeptRegistration.Report => {
      if (Exit.isSuccess(exit)) return { status: "passing", output: "" }
      const error = Cause.squash(exit.cause)
      return { status: "critical", output: error instanceof Error ? error.message : String(error) }
    })
  )

/** Its URL. */
const serve = Effect.fnUntraced(
  function*<R>({ host = "127.0.0.1", port = 0 }: Endpoint, report: Effect.Effect<KeptRegistration.Report, never, R>) {
    const node = Http.createServer()
    const server = yield* Effect.mapError(
      NodeHttpServer.make(() => node, { host, port, disablePreemptiveShutdown: true }),
      ({ cause }) =>
        new Listening.ListenError({
          address: Listening.format({ host, port }),
          code: cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)
        })
    )
    // The agent keeps its connection, which nobody needs to wait for.
    yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
    yield* server.serve(
      Effect.map(
        report,
        ({ output, status }) =>
          HttpServerResponse.text(status === "passing" ? "well" : output, { status: status === "passing" ? 200 : 503 })
      )
    )
    const bound = node.address()
    const actual = typeof bound === "object" && bound !== null ? bound.port : port
    return `http://${Listening.format({ host, port: actual })}/health`
  }
)
