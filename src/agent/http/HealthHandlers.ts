/** `/v1/health/…` and `/v1/status/…` */
import { Effect, Layer } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { ConsulApi } from "../../consul/ConsulApi.ts"
import * as Health from "../../consul/Health.ts"
import type * as AgentState from "../AgentState.ts"
import * as BlockingRead from "../BlockingRead.ts"
import * as CatalogStore from "../CatalogStore.ts"
import * as CatalogView from "../CatalogView.ts"
import * as Answer from "./Answer.ts"
import * as CatalogReads from "./CatalogReads.ts"

export const layer = (state: AgentState.AgentState) => Layer.mergeAll(healthLayer(state), statusLayer)

const healthLayer = (state: AgentState.AgentState) =>
  HttpApiBuilder.group(ConsulApi, "health", (handlers) =>
    handlers
      .handle("service", ({ params, query }) => instances(state, params.service, query, false))
      .handle("connect", ({ params, query }) => instances(state, params.service, query, true))
      // Nothing here is behind an ingress gateway.
      .handle("ingress", ({ query }) =>
        Effect.map(
          BlockingRead.read(state.store, Answer.blocking(query), { topics: [], read: () => [] }),
          (answer) => Answer.consistent(answer, query)
        ))
      .handle(
        "node",
        ({ params, query }) => checks(state, query, ({ Node }) => Node.toLowerCase() === params.node.toLowerCase())
      )
      .handle(
        "checks",
        ({ params, query }) =>
          checks(state, query, ({ ServiceName }) => ServiceName.toLowerCase() === params.service.toLowerCase())
      )
      .handle(
        "state",
        ({ params, query }) => checks(state, query, ({ Status }) => params.state === "any" || Status === params.state)
      ))

const statusLayer = HttpApiBuilder.group(ConsulApi, "status", (handlers) =>
  handlers
    .handle("leader", () => Effect.succeed(Answer.plain("127.0.0.1:8300")))
    .handle("peers", () => Effect.succeed(Answer.plain(["127.0.0.1:8300"]))))

const instances = Effect.fnUntraced(function*(
  state: AgentState.AgentState,
  service: string,
  query: CatalogView.InstanceQuery & { readonly passing?: boolean },
  connect: boolean
) {
  const { read, topics } = yield* CatalogReads.instances(state, service, query, connect)
  return yield* CatalogReads.filtered(
    state,
    query,
    Health.ServiceEntry,
    topics,
    (keep) => read().filter((entry) => keep(entry) && (query.passing !== true || CatalogView.isPassing(entry)))
  )
})

const checks = (
  state: AgentState.AgentState,
  query: CatalogView.NodeQuery,
  select: (check: Health.Check) => boolean
) =>
  CatalogReads.filtered(
    state,
    query,
    Health.Check,
    ["checks"],
    (keep) =>
      state.catalog.nodes().filter(({ node }) => CatalogView.hasMeta(node, query)).flatMap(({ checks }) =>
        CatalogStore.byId(checks.values()).filter((check) => select(check) && keep(check))
      )
  )
