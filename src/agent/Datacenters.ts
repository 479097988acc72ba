/**
 * Development agents of several datacenters in one process. They share one mesh: the first is the primary, whose authority
 * vouches for those of the others, and whose config entries and intentions hold everywhere.
 *
 *     const { agents, wan } = yield* Datacenters.make({ datacenters: ["dc1", "dc2"], port: 0 })
 *     wan.set("dc1", "dc2", { isCut: true })
 */
import { Array, Effect, type Scope } from "effect"
import * as Os from "node:os"
import type * as AgentState from "./AgentState.ts"
import * as DevelopmentAgent from "./DevelopmentAgent.ts"
import * as Federation from "./federation/Federation.ts"
import * as GatewayDirectory from "./federation/GatewayDirectory.ts"
import * as Replication from "./federation/Replication.ts"
import type * as Wan from "./federation/Wan.ts"
import * as LocalServices from "./LocalServices.ts"

export interface Options extends Omit<DevelopmentAgent.Options, "datacenter"> {
  /** The primary first. Each is named once. */
  readonly datacenters: Array.NonEmptyReadonlyArray<string>
}

export interface Datacenters {
  /** In the order of the names. */
  readonly agents: Array.NonEmptyReadonlyArray<DevelopmentAgent.DevelopmentAgent>
  /** What lies between them. */
  readonly wan: Wan.Wan
}

/** Between the ports of one datacenter and those of the next, that of the API and those for sidecars. */
const step = 1000

/**
 * All of them listen once it returns. `port` is that of the first one, others are a thousand higher each; `nodeName` is followed
 * by the datacenter where there are several.
 */
export const make = Effect.fnUntraced(function*(
  { datacenters, ...options }: Options
): Effect.fn.Return<Datacenters, DevelopmentAgent.AgentError, Scope.Scope> {
  const [primary] = datacenters
  const federation = Federation.make<AgentState.Member>(primary)
  const port = options.port ?? 8500
  const agents = yield* Effect.forEach(Array.dedupe(datacenters), (datacenter, position) =>
    DevelopmentAgent.join({
      ...options,
      datacenter,
      port: port === 0 ? 0 : port + position * step,
      nodeName: datacenters.length === 1
        ? options.nodeName
        : `${options.nodeName ?? Os.hostname()}-${datacenter}`,
      sidecarPorts: {
        from: LocalServices.sidecarPorts.from + position * step,
        to: LocalServices.sidecarPorts.to + position * step
      }
    }, federation))
  yield* tellOfGateways(datacenters, federation)
  return { agents, wan: federation.wan }
})

/** Each to each, as long as the line between them is open. */
const tellOfGateways = (datacenters: ReadonlyArray<string>, federation: Federation.Federation<AgentState.Member>) =>
  Effect.forEach(datacenters, (from) =>
    Effect.forEach(datacenters, (to) => {
      const there = federation.member(from)?.state
      const here = federation.member(to)?.state
      return from === to || there === undefined || here === undefined ? Effect.void : Replication.follow({
        from: there.store,
        topics: GatewayDirectory.ownTopics,
        crossing: federation.wan.crossing(from, to),
        copy: Effect.sync(() => here.gateways.learn(from, there.gateways.own()))
      })
    }, { discard: true }), { discard: true })
