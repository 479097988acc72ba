/** How the catalog is read: filtered, and waiting for a change where the caller knows the rest. */
import { Effect, type Schema } from "effect"
import type * as AgentState from "../AgentState.ts"
import * as BlockingRead from "../BlockingRead.ts"
import * as CatalogStore from "../CatalogStore.ts"
import * as CatalogView from "../CatalogView.ts"
import * as GatewayServices from "../GatewayServices.ts"
import * as MergeProxy from "../MergeProxy.ts"
import type * as Store from "../Store.ts"
import * as Answer from "./Answer.ts"

/** What `query` waits for, as far as its filter, which is about values of `schema`, keeps it. */
export const filtered = Effect.fnUntraced(function*<A>(
  { store }: AgentState.AgentState,
  query: CatalogView.NodeQuery,
  schema: Schema.Constraint,
  topics: ReadonlyArray<Store.Topic>,
  read: (keep: (value: unknown) => boolean) => A
) {
  const keep = yield* Answer.filter(query.filter, schema)
  const answer = yield* BlockingRead.read(store, Answer.blocking(query), { topics, read: () => read(keep) })
  return Answer.consistent(answer, query)
})

/** The instances that a query asks for. `connect`: those that speak for the service in the mesh. */
export const instances = Effect.fnUntraced(function*(
  state: AgentState.AgentState,
  service: string,
  query: CatalogView.InstanceQuery,
  connect: boolean
) {
  const { catalog, config, peerings } = state
  if (query.sg !== undefined) return yield* Answer.internal("sameness groups are not supported in consul CE")
  if (query.peer !== undefined && query.peer !== "") {
    const { peer } = query
    return {
      topics: peerings.topics,
      read: () =>
        CatalogStore.ofService(peerings.imported(peer), service, connect).filter((entry) =>
          CatalogView.isWanted(entry, query)
        )
    }
  }
  const merging = query["merge-central-config"] === true
  return {
    topics: [
      connect ? CatalogStore.connectTopic(service) : CatalogStore.serviceTopic(service),
      ...(connect ? GatewayServices.linkTopics : []),
      ...(merging ? ["config" as const] : [])
    ],
    read: () => {
      const own = catalog.instances(service, connect)
      const all = connect ? [...own, ...GatewayServices.instances(state, service)] : own
      const found = all.filter((entry) => CatalogView.isWanted(entry, query))
      return merging
        ? found.map((entry) => ({
          ...entry,
          Service: entry.Service.Kind === "connect-proxy"
            ? { ...entry.Service, Proxy: MergeProxy.mergeProxy(entry.Service.Proxy, config.all()) }
            : entry.Service
        }))
        : found
    }
  }
})
