/**
 * The agent's interface for Envoys: delta ADS over gRPC. Each Envoy is told what follows from the same state that the HTTP API
 * answers from, and told again when that changes.
 *
 *   store changed → Following reads a snapshot → Translate → DeltaStream: what is new to this Envoy → gRPC
 */
import { Cause, Effect, Fiber, FiberSet, type Scope } from "effect"
import * as AggregatedDiscovery from "../../xds/server/AggregatedDiscovery.ts"
import type * as DeltaStream from "../../xds/server/DeltaStream.ts"
import * as GrpcServer from "../../xds/server/GrpcServer.ts"
import * as Translate from "../../xds/Translate.ts"
import type * as AgentState from "../AgentState.ts"
import * as Following from "./Following.ts"
import * as Shared from "./Shared.ts"

export interface Options {
  readonly host: string
  readonly port: number
  readonly requireToken: string | undefined
  readonly sent?: ((bytes: number, resources: number) => void) | undefined
}

export interface XdsServer {
  readonly port: number
  readonly envoys: () => Envoys
}

export interface Envoys {
  /** How many are connected and have said who they are. */
  readonly told: number
  /** How many of them have answered everything that holds now. */
  readonly settled: number
}

/** Listens once it returns. */
export const make = Effect.fnUntraced(function*(
  state: AgentState.AgentState,
  options: Options
): Effect.fn.Return<XdsServer, GrpcServer.GrpcListenError, Scope.Scope> {
  const shared = Shared.make(state)
  const run = yield* FiberSet.makeRuntime()
  const streams = new Set<Pick<DeltaStream.DeltaStream, "isSettled">>()
  const method = AggregatedDiscovery.method({
    refuse: (call) =>
      options.requireToken === undefined || call.metadata("x-consul-token") === options.requireToken
        ? undefined
        : { status: 7, why: "Permission denied: this agent wants its token, in x-consul-token" },
    follow: (client, told, stream) => {
      streams.add(stream)
      const translate = Translate.make()
      const fiber = run(
        Effect.logDebug(`${client.proxyId} is told over xDS (${client.userAgent || "a client"} at ${client.peer})`)
          .pipe(
            Effect.andThen(Following.follow({
              state,
              shared,
              proxyId: client.proxyId,
              told: (snapshot) => told(translate(snapshot))
            })),
            Effect.tapCause((cause) =>
              Cause.hasInterruptsOnly(cause)
                ? Effect.void
                : Effect.logError(`${client.proxyId} is told nothing more over xDS`, cause)
            )
          )
      )
      return () => {
        streams.delete(stream)
        run(Fiber.interrupt(fiber))
      }
    },
    news: (client, news) => {
      run(report(client, news))
    },
    sent: options.sent
  })
  const { port } = yield* GrpcServer.make({
    host: options.host,
    port: options.port,
    methods: { [AggregatedDiscovery.path]: method }
  })
  return {
    port,
    envoys: () => ({ told: streams.size, settled: [...streams].filter((stream) => stream.isSettled()).length })
  }
})

const report = (client: AggregatedDiscovery.Client, news: DeltaStream.News): Effect.Effect<void> => {
  switch (news._tag) {
    case "Acknowledged":
      return Effect.void
    case "Refused":
      // Which of them is to blame shows next.
      if (news.names.length > 1) {
        return Effect.logDebug(`${client.proxyId} refuses ${news.names.join(", ")} together: ${news.why}`)
      }
      return Effect.logWarning(
        `${client.proxyId} refuses what it was told of ${
          news.names.join(", ")
        }: ${news.why}. It keeps what it had, and is ` +
          "told again when that changes"
      )
    case "UnknownKind":
      return Effect.logDebug(`${client.proxyId} asks for ${news.typeUrl}, which is not served`)
  }
}
