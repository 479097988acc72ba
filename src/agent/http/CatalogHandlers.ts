/** `/v1/catalog/…` */
import { Effect, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Catalog from "../../consul/Catalog.ts"
import { ConsulApi } from "../../consul/ConsulApi.ts"
import * as Health from "../../consul/Health.ts"
import type * as AgentState from "../AgentState.ts"
import * as CatalogStore from "../CatalogStore.ts"
import * as CatalogView from "../CatalogView.ts"
import * as CatalogWrite from "../CatalogWrite.ts"
import * as GatewayServices from "../GatewayServices.ts"
import * as Answer from "./Answer.ts"
import * as CatalogReads from "./CatalogReads.ts"

export const layer = (state: AgentState.AgentState) =>
  HttpApiBuilder.group(ConsulApi, "catalog", (handlers) =>
    handlers
      .handle("services", ({ query }) =>
        CatalogReads.filtered(
          state,
          query,
          Catalog.CatalogService,
          ["services"],
          (keep) => CatalogView.tagsByService(state.catalog.nodes(), query, keep)
        ))
      .handle("service", ({ params, query }) => flat(state, params.service, query, false))
      .handle("connect", ({ params, query }) => flat(state, params.service, query, true))
      .handle("nodes", ({ query }) =>
        CatalogReads.filtered(state, query, Health.Node, ["nodes"], (keep) =>
          state.catalog.nodes().map(({ node }) => node).filter((node) =>
            CatalogView.hasMeta(node, query) && keep(node)
          )))
      .handle("node", ({ params, query }) =>
        onNode(state, params.node, query, (found, keep) =>
          found === undefined ? null : {
            Node: found.node,
            Services: Object.fromEntries([...found.services].filter(([, service]) =>
              keep(service)
            ))
          }))
      .handle("nodeServices", ({ params, query }) =>
        onNode(state, params.node, query, (found, keep) =>
          found === undefined
            ? { Services: [] }
            : { Node: found.node, Services: CatalogStore.servicesOf(found).filter(keep) }))
      .handle("gatewayServices", ({ params, query }) =>
        CatalogReads.filtered(state, query, Catalog.GatewayService, GatewayServices.topics, (keep) =>
          GatewayServices.ofGateway(state, params.gateway).filter(keep)))
      .handle("datacenters", () =>
        Effect.sync(() =>
          Answer.plain(state.federation.datacenters(state.settings.datacenter))
        ))
      .handleRaw("register", ({ request }) =>
        Effect.gen(function*() {
          const registration = yield* Answer.body(request, Registration, { snakeCase: false })
          yield* Effect.fromResult(CatalogWrite.register(yield* inDatacenter(state, registration), registration))
          return Answer.plain(true)
        }))
      .handleRaw("deregister", ({ request }) =>
        Effect.gen(function*() {
          const deregistration = yield* Answer.body(request, Deregistration, { snakeCase: false })
          yield* Effect.fromResult(CatalogWrite.deregister(yield* inDatacenter(state, deregistration), deregistration))
          return Answer.plain(true)
        })))

const flat = Effect.fnUntraced(function*(
  state: AgentState.AgentState,
  service: string,
  query: CatalogView.InstanceQuery,
  connect: boolean
) {
  const { read, topics } = yield* CatalogReads.instances(state, service, query, connect)
  return yield* CatalogReads.filtered(
    state,
    query,
    Catalog.CatalogService,
    topics,
    (keep) => read().map(CatalogView.flat).filter(keep)
  )
})

/** A node, if there is one of this name, and its services as far as the filter keeps them. */
const onNode = <A>(
  state: AgentState.AgentState,
  node: string,
  query: CatalogView.NodeQuery,
  read: (found: ReturnType<CatalogStore.CatalogStore["node"]>, keep: (service: unknown) => boolean) => A
) =>
  CatalogReads.filtered(
    state,
    query,
    Health.NodeService,
    ["nodes", "services"],
    (keep) => read(state.catalog.node(node), keep)
  )

/** Writes say in their body where they belong; without that it is here. */
const inDatacenter = Effect.fnUntraced(function*(
  { federation, settings }: AgentState.AgentState,
  { Datacenter }: { readonly Datacenter?: string }
) {
  const member = yield* federation.reach(settings.datacenter, Datacenter || settings.datacenter)
  return member === undefined ? yield* Answer.internal("No path to datacenter") : member.state
})

/** Without the required fields: a real agent says itself which one is missing. */
const optionalNode = { Node: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed(""))) }
const Registration = Catalog.Registration.mapFields((fields) => ({ ...fields, ...optionalNode }))
const Deregistration = Catalog.Deregistration.mapFields((fields) => ({ ...fields, ...optionalNode }))
