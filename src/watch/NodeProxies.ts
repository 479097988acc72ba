/**
 * The sidecars that are registered at the agent, whichever services they are of.
 *
 * The agent does not hold this question, so it is asked every two seconds. What the token may no longer see is not taken for gone:
 * an answer from which something was left out takes nothing away.
 */
import { Context, Effect, Layer, Schema, type SubscriptionRef } from "effect"
import type * as AgentService from "../consul/AgentService.ts"
import * as BlockingQuery from "../consul/BlockingQuery.ts"
import * as CompleteAnswer from "../consul/CompleteAnswer.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as ConsulError from "../consul/ConsulError.ts"
import type * as SameAnswer from "../consul/SameAnswer.ts"
import * as Watched from "./Watched.ts"

/** One sidecar, as it is registered. */
export class NodeProxy extends Schema.Class<NodeProxy>("effect-mesh/watch/NodeProxies/NodeProxy")({
  proxyId: Schema.String,
  /** The name of the service that it is of, which several may have. */
  service: Schema.String,
  /** The ID of that service at this agent. Empty, where a proxy was registered without one. */
  serviceId: Schema.String
}) {}

/** Ordered by their IDs. */
export class NodeProxies extends Context.Service<NodeProxies, Watched.Watched<ReadonlyArray<NodeProxy>>>()(
  "effect-mesh/watch/NodeProxies"
) {}

const what = "the list of sidecars"

/** Serves what is put into `ref`: a registration or its end is one `SubscriptionRef.set`. */
export const layerFrom = (
  ref: SubscriptionRef.SubscriptionRef<ReadonlyArray<NodeProxy>>
): Layer.Layer<NodeProxies> => Layer.succeed(NodeProxies, Watched.fromRef(what, ref))

const every = "2 seconds"

/** Asks the Consul agent. Builds at once: wait for the first list with `Watched.ready`. */
export const layer: Layer.Layer<NodeProxies, never, ConsulClient.ConsulClient> = Layer.effect(
  NodeProxies,
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    return yield* consul.share(
      name,
      Effect.suspend(() => {
        let known: ReadonlyArray<NodeProxy> = []
        const ask = (memory: SameAnswer.Memory) =>
          consul.hold(
            name,
            "vital",
            { cursor: undefined, wait: "0ms", memory },
            (api) => api.agent.services({ query: { filter } })
          ).pipe(Effect.map(({ body, headers }) => {
            known = heard(known, Object.values(body), CompleteAnswer.isFiltered(headers))
            return known
          }))
        return Watched.make({ what, watch: "registration", subject: "*" }, BlockingQuery.polled(name, every, ask))
      })
    )
  })
)

/** Those of now. */
export const ask = (
  consul: ConsulClient.ConsulClient["Service"]
): Effect.Effect<ReadonlyArray<NodeProxy>, ConsulError.ConsulError> =>
  Effect.map(
    consul.call(name, (api) => api.agent.services({ query: { filter } })),
    ({ body }) => heard([], Object.values(body), false)
  )

const name = "GET /v1/agent/services"
const filter = "Kind == \"connect-proxy\""

/** What is known after an answer. `isFiltered`: the token may not see all that there is. */
export const heard = (
  known: ReadonlyArray<NodeProxy>,
  answer: ReadonlyArray<AgentService.AgentService>,
  isFiltered: boolean
): ReadonlyArray<NodeProxy> => {
  const seen = answer.flatMap(toProxy)
  const all = isFiltered ? [...known, ...seen] : seen
  return [...new Map(all.map((proxy) => [proxy.proxyId, proxy])).values()].toSorted(byId)
}

const toProxy = ({ ID, Proxy }: AgentService.AgentService): ReadonlyArray<NodeProxy> =>
  Proxy === undefined || Proxy.DestinationServiceName === "" ? [] : [
    new NodeProxy({
      proxyId: ID,
      service: Proxy.DestinationServiceName,
      serviceId: Proxy.DestinationServiceID
    })
  ]

/** The sidecars of the service with this ID, which Consul compares without case. */
export const of = (proxies: ReadonlyArray<NodeProxy>, serviceId: string): ReadonlyArray<NodeProxy> =>
  proxies.filter((proxy) => proxy.serviceId.toLowerCase() === serviceId.toLowerCase())

const byId = (a: NodeProxy, b: NodeProxy): number => a.proxyId < b.proxyId ? -1 : a.proxyId > b.proxyId ? 1 : 0
