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
import * as Peerings from "./peering/Peerings.ts"
import * as LocalServices from "./LocalServices.ts"

export interface Options extends Omit<DevelopmentAgent.Options, "datacenter"> {
  /** The primary first. Each is named once. */
  readonly datacenters: Array.NonEmptyReadonlyArray<string>
  /** Clusters with a trust domain of their own, each with one datacenter of this name, that are peers of the primary. */
  readonly peers?: ReadonlyArray<string> | undefined
}

export interface Datacenters {
  /** In the order of the names. */
  readonly agents: Array.NonEmptyReadonlyArray<DevelopmentAgent.DevelopmentAgent>
  /** In the order of their names. */
  readonly peers: ReadonlyArray<DevelopmentAgent.DevelopmentAgent>
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
  { datacenters, peers = [], ...options }: Options
): Effect.fn.Return<Datacenters, DevelopmentAgent.AgentError, Scope.Scope> {
  const [primary] = datacenters
  const federation = Federation.make<AgentState.Member>(primary)
  const network = Peerings.network(federation.wan)
  const port = options.port ?? 8500
  const isAlone = datacenters.length + peers.length === 1
  const join = (datacenter: string, position: number, federation: Federation.Federation<AgentState.Member>) =>
    DevelopmentAgent.join(
      {
        ...options,
        datacenter,
        port: port === 0 ? 0 : port + position * step,
        ...(options.grpcPort !== undefined && {
          grpcPort: options.grpcPort === 0 ? 0 : options.grpcPort + position * step
        }),
        nodeName: isAlone
          ? options.nodeName
          : `${options.nodeName ?? Os.hostname()}-${datacenter}`,
        sidecarPorts: {
          from: LocalServices.sidecarPorts.from + position * step,
          to: LocalServices.sidecarPorts.to + position * step
        }
      },
      federation,
      network
    )

  const agents = yield* Effect.forEach(datacenters, (name, position) => join(name, position, federation))
  yield* tellOfGateways(datacenters, federation)
  const beside = yield* Effect.forEach(peers, (name, position) =>
    Effect.gen(function*() {
      const own = Federation.make<AgentState.Member>(name, federation.wan)
      const agent = yield* join(name, datacenters.length + position, own)
      yield* peer(own.member(name)?.state, federation.member(primary)?.state)
      return agent
    }))
  return { agents, peers: beside, wan: federation.wan }
})

/** Each is called by the name of its datacenter. */
const peer = (one: AgentState.AgentState | undefined, other: AgentState.AgentState | undefined) =>
  Effect.gen(function*() {
    if (one === undefined || other === undefined) return
    const token = yield* Effect.fromResult(one.peerings.generateToken({ PeerName: other.settings.datacenter }))
    yield* other.peerings.establish({ PeerName: one.settings.datacenter, PeeringToken: token })
  }).pipe(Effect.orDie)

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
