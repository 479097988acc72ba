/** What holds for one proxy, from now on: read, told, and read again when something of it has changed. */
import { Effect } from "effect"
import type * as AgentService from "../../consul/AgentService.ts"
import type * as Snapshot from "../../xds/Snapshot.ts"
import type * as AgentState from "../AgentState.ts"
import * as LocalServices from "../LocalServices.ts"
import * as GatewaySnapshot from "./GatewaySnapshot.ts"
import * as Shared from "./Shared.ts"
import * as SidecarSnapshot from "./SidecarSnapshot.ts"
import * as Stable from "./Stable.ts"

export interface Options {
  readonly state: AgentState.AgentState
  readonly shared: Shared.Shared
  readonly proxyId: string
  readonly told: (snapshot: Snapshot.Snapshot) => void
}

/** Never ends. A proxy that is not registered yet is waited for; of one that no longer is, the last word stays. */
export const follow = ({ proxyId, shared, state, told }: Options): Effect.Effect<never> =>
  Effect.gen(function*() {
    const stable = Stable.make()
    const local = [LocalServices.topic(proxyId)] as const
    let said = ""
    while (true) {
      const seen = new Map<AgentState.AgentState, number>()
      const index = state.store.indexOf(local)
      const service = state.services.get(proxyId)
      if (service === undefined) {
        yield* Effect.logInfo(`an Envoy asks for ${proxyId}, which is not registered: it is told when it is`)
        yield* state.store.followed(local, index)
        continue
      }
      const read = yield* readOf(state, shared, stable, service)
      if (typeof read === "string") {
        if (read !== said) yield* Effect.logWarning(`${proxyId} is told nothing: ${read}`)
        said = read
        // Whoever signs certificates may be back by then.
        yield* Effect.timeoutOption(state.store.followed(local, index), "10 seconds")
        continue
      }
      for (const { datacenter, topics } of read.waitFor) {
        const member = memberOf(state, datacenter)
        if (member !== undefined) seen.set(member, member.store.indexOf(topics))
      }
      // What can not be written, such as a limit of more than 32 bits, must not end what comes after it.
      yield* Effect.sync(() => told(read.snapshot)).pipe(
        Effect.catchDefect((why) =>
          Effect.logError(`${proxyId} is told nothing new: what holds can not be written`, why)
        )
      )
      const notes = read.notes.join("; ")
      if (notes !== said && notes !== "") yield* Effect.logWarning(`${proxyId} is not told of everything: ${notes}`)
      said = notes
      yield* Effect.raceAllFirst(read.waitFor.flatMap(({ datacenter, topics }) => {
        const member = memberOf(state, datacenter)
        return member === undefined ? [] : [member.store.followed(topics, seen.get(member) ?? 0)]
      }))
    }
  })

const memberOf = (state: AgentState.AgentState, datacenter: string): AgentState.AgentState | undefined =>
  datacenter === state.settings.datacenter ? state : state.federation.member(datacenter)?.state

const readOf = (
  state: AgentState.AgentState,
  shared: Shared.Shared,
  stable: Stable.Stable,
  service: AgentService.AgentService
): Effect.Effect<SidecarSnapshot.Read<Snapshot.Snapshot> | string> => {
  switch (service.Kind) {
    case "connect-proxy":
      return state.leaves.get(service.Proxy?.DestinationServiceName ?? "", {}).pipe(
        Effect.map(({ value }) => SidecarSnapshot.read(state, shared, stable, service, value)),
        Effect.catch(({ body }) => Effect.succeed(body))
      )
    case "mesh-gateway":
      return Effect.sync(() => GatewaySnapshot.read(state, shared, service))
    default:
      return Effect.succeed(
        `it is registered as ${service.Kind || "an application"}, and only sidecars and mesh gateways are served`
      )
  }
}
