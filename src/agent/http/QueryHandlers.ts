/** `/v1/query…` */
import { Effect, Random, Result } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as ApiError from "../../consul/ApiError.ts"
import { ConsulApi } from "../../consul/ConsulApi.ts"
import * as PreparedQuery from "../../consul/PreparedQuery.ts"
import type * as AgentState from "../AgentState.ts"
import * as ExecuteQuery from "../query/ExecuteQuery.ts"
import * as PreparedQueries from "../query/PreparedQueries.ts"
import * as Answer from "./Answer.ts"

export const layer = ({ catalog, queries, settings, store }: AgentState.AgentState) =>
  HttpApiBuilder.group(ConsulApi, "query", (handlers) => {
    const orInternal = <A>(result: Result.Result<A, string>) =>
      Effect.fromResult(Result.mapError(result, Answer.internal))
    const notFound = new ApiError.NotFound({ body: "Query not found", index: 1n })

    return handlers
      .handle("list", () =>
        Effect.succeed(Answer.consistent({
          index: Math.max(1, store.indexOf(PreparedQueries.topics)),
          value: queries.list()
        })))
      .handleRaw("create", ({ request }) =>
        Effect.gen(function*() {
          const query = yield* Answer.body(request, PreparedQuery.PreparedQuery, { snakeCase: false })
          return Answer.plain({ ID: yield* orInternal(queries.create(query)) })
        }))
      .handle("read", ({ params }) =>
        Effect.gen(function*() {
          const query = yield* orInternal(queries.get(params.id))
          if (query === undefined) return yield* notFound
          return Answer.consistent({ index: query.ModifyIndex, value: [query] })
        }))
      .handleRaw("update", ({ params, request }) =>
        Effect.gen(function*() {
          const query = yield* Answer.body(request, PreparedQuery.PreparedQuery, { snakeCase: false })
          yield* orInternal(queries.update(params.id, query))
          return Answer.done
        }))
      .handle("delete", ({ params }) => Effect.as(orInternal(queries.remove(params.id)), Answer.done))
      .handle("execute", ({ params, query }) =>
        Effect.gen(function*() {
          const limit = yield* parseLimit(query.limit)
          const found = queries.find(params.query)
          if (found === undefined) return yield* notFound
          const { Connect, Peer, Service } = found.Service
          const connect = Connect || /^(1|t|T|TRUE|true|True)$/.test(query.connect ?? "")
          const entries = Peer === ""
            ? catalog.instances(Service, connect).filter((entry) => ExecuteQuery.matches(entry, found.Service))
            : []
          const shuffled = yield* Random.shuffle(entries)
          const value = PreparedQuery.Execution.make({
            Service,
            Nodes: limit > 0 ? shuffled.slice(0, limit) : shuffled,
            DNS: found.DNS,
            Datacenter: Peer === "" ? settings.datacenter : "",
            PeerName: Peer,
            Index: 1,
            KnownLeader: true,
            ConsistencyLevel: "leader"
          })
          return Answer.consistent({ index: 1, value }, query)
        }))
  })

/** 0: none. */
const parseLimit = (text = ""): Effect.Effect<number, ApiError.InternalError> =>
  text === "" || /^[+-]?\d+$/.test(text)
    ? Effect.succeed(Number(text))
    : Effect.fail(Answer.internal(`Bad limit: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`))
