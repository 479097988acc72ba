/** `/v1/catalog/…`, `/v1/health/…` and `/v1/status/…` */
import { Effect, Layer, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Catalog from "../../consul/Catalog.ts"
import { ConsulApi } from "../../consul/ConsulApi.ts"
import * as Health from "../../consul/Health.ts"
import type * as AgentState from "../AgentState.ts"
import * as BlockingRead from "../BlockingRead.ts"
import * as CatalogStore from "../CatalogStore.ts"
import * as CatalogView from "../CatalogView.ts"
import * as CatalogWrite from "../CatalogWrite.ts"
import * as MergeProxy from "../MergeProxy.ts"
import * as Answer from "./Answer.ts"

export const layer = (state: AgentState.AgentState) => {
  const { catalog, config, store } = state

  /** The instances that a query asks for. */
  const instances = Effect.fnUntraced(function*(
    service: string,
    query: CatalogView.InstanceQuery,
    connect: boolean
  ) {
    if (query.sg !== undefined) return yield* Answer.internal("sameness groups are not supported in consul CE")
    const merging = query["merge-central-config"] === true
    return {
      topics: [
        connect ? CatalogStore.connectTopic(service) : CatalogStore.serviceTopic(service),
        ...(merging ? ["config" as const] : [])
      ],
      read: () => {
        if (query.peer !== undefined && query.peer !== "") return []
        const found = catalog.instances(service, connect).filter((entry) => CatalogView.isWanted(entry, query))
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

  const health = (
    service: string,
    query: CatalogView.InstanceQuery & { readonly passing?: boolean },
    connect: boolean
  ) =>
    Effect.gen(function*() {
      const source = yield* instances(service, query, connect)
      const keep = yield* Answer.filter(query.filter, Health.ServiceEntry)
      const answer = yield* BlockingRead.read(store, Answer.blocking(query), {
        topics: source.topics,
        read: () =>
          source.read().filter((entry) => keep(entry) && (query.passing !== true || CatalogView.isPassing(entry)))
      })
      return Answer.consistent(answer, query)
    })

  const flat = (service: string, query: CatalogView.InstanceQuery, connect: boolean) =>
    Effect.gen(function*() {
      const source = yield* instances(service, query, connect)
      const keep = yield* Answer.filter(query.filter, Catalog.CatalogService)
      const answer = yield* BlockingRead.read(store, Answer.blocking(query), {
        topics: source.topics,
        read: () => source.read().map(CatalogView.flat).filter(keep)
      })
      return Answer.consistent(answer, query)
    })

  const checks = (query: CatalogView.NodeQuery, select: (check: Health.Check) => boolean) =>
    Effect.gen(function*() {
      const keep = yield* Answer.filter(query.filter, Health.Check)
      const answer = yield* BlockingRead.read(store, Answer.blocking(query), {
        topics: ["checks"],
        read: () =>
          catalog.nodes().filter(({ node }) => CatalogView.hasMeta(node, query)).flatMap(({ checks }) =>
            CatalogStore.byId(checks.values()).filter((check) => select(check) && keep(check))
          )
      })
      return Answer.consistent(answer, query)
    })

  const catalogLayer = HttpApiBuilder.group(ConsulApi, "catalog", (handlers) =>
    handlers
      .handle("services", ({ query }) =>
        Effect.gen(function*() {
          const keep = yield* Answer.filter(query.filter, Catalog.CatalogService)
          const answer = yield* BlockingRead.read(store, Answer.blocking(query), {
            topics: ["services"],
            read: () => CatalogView.tagsByService(catalog.nodes(), query, keep)
          })
          return Answer.consistent(answer, query)
        }))
      .handle("service", ({ params, query }) => flat(params.service, query, false))
      .handle("connect", ({ params, query }) => flat(params.service, query, true))
      .handle("nodes", ({ query }) =>
        Effect.gen(function*() {
          const keep = yield* Answer.filter(query.filter, Health.Node)
          const answer = yield* BlockingRead.read(store, Answer.blocking(query), {
            topics: ["nodes"],
            read: () =>
              catalog.nodes().map(({ node }) => node).filter((node) => CatalogView.hasMeta(node, query) && keep(node))
          })
          return Answer.consistent(answer, query)
        }))
      .handle("node", ({ params, query }) =>
        Effect.gen(function*() {
          const keep = yield* Answer.filter(query.filter, Health.NodeService)
          const answer = yield* BlockingRead.read(store, Answer.blocking(query), {
            topics: ["nodes", "services"],
            read: () => {
              const found = catalog.node(params.node)
              return found === undefined ? null : {
                Node: found.node,
                Services: Object.fromEntries([...found.services].filter(([, service]) => keep(service)))
              }
            }
          })
          return Answer.consistent(answer, query)
        }))
      .handle("nodeServices", ({ params, query }) =>
        Effect.gen(function*() {
          const keep = yield* Answer.filter(query.filter, Health.NodeService)
          const answer = yield* BlockingRead.read(store, Answer.blocking(query), {
            topics: ["nodes", "services"],
            read: () => {
              const found = catalog.node(params.node)
              return found === undefined
                ? { Services: [] }
                : { Node: found.node, Services: CatalogStore.servicesOf(found).filter(keep) }
            }
          })
          return Answer.consistent(answer, query)
        }))
      .handle("datacenters", () => Effect.succeed(Answer.plain([state.settings.datacenter])))
      .handleRaw("register", ({ request }) =>
        Effect.gen(function*() {
          const registration = yield* Answer.body(request, Registration, { snakeCase: false })
          yield* Effect.fromResult(CatalogWrite.register(state, registration))
          return Answer.plain(true)
        }))
      .handleRaw("deregister", ({ request }) =>
        Effect.gen(function*() {
          const deregistration = yield* Answer.body(request, Deregistration, { snakeCase: false })
          yield* Effect.fromResult(CatalogWrite.deregister(state, deregistration))
          return Answer.plain(true)
        })))

  const healthLayer = HttpApiBuilder.group(ConsulApi, "health", (handlers) =>
    handlers
      .handle("service", ({ params, query }) => health(params.service, query, false))
      .handle("connect", ({ params, query }) => health(params.service, query, true))
      // Nothing here is behind an ingress gateway.
      .handle("ingress", ({ query }) =>
        Effect.map(
          BlockingRead.read(store, Answer.blocking(query), { topics: [], read: () => [] }),
          (answer) => Answer.consistent(answer, query)
        ))
      .handle("node", ({ params, query }) =>
        checks(query, ({ Node }) => Node.toLowerCase() === params.node.toLowerCase()))
      .handle("checks", ({ params, query }) =>
        checks(query, ({ ServiceName }) =>
          ServiceName.toLowerCase() === params.service.toLowerCase()))
      .handle("state", ({ params, query }) =>
        checks(query, ({ Status }) =>
          params.state === "any" || Status === params.state)))

  const statusLayer = HttpApiBuilder.group(ConsulApi, "status", (handlers) =>
    handlers
      .handle("leader", () => Effect.succeed(Answer.plain("127.0.0.1:8300")))
      .handle("peers", () => Effect.succeed(Answer.plain(["127.0.0.1:8300"]))))

  return Layer.mergeAll(catalogLayer, healthLayer, statusLayer)
}

/** Without the required fields: a real agent says itself which one is missing. */
const optionalNode = { Node: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed(""))) }
const Registration = Catalog.Registration.mapFields((fields) => ({ ...fields, ...optionalNode }))
const Deregistration = Catalog.Deregistration.mapFields((fields) => ({ ...fields, ...optionalNode }))
