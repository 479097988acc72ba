/** `/v1/peering…` */
import { Effect, Equal } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { ConsulApi } from "../../consul/ConsulApi.ts"
import * as PeeringApi from "../../consul/PeeringApi.ts"
import type * as AgentState from "../AgentState.ts"
import * as BlockingRead from "../BlockingRead.ts"
import * as Exports from "../peering/Exports.ts"
import * as Answer from "./Answer.ts"

export const layer = ({ peerings, store }: AgentState.AgentState) =>
  HttpApiBuilder.group(ConsulApi, "peering", (handlers) => {
    const read = <A>(query: Parameters<typeof Answer.blocking>[0], value: () => A) =>
      BlockingRead.read(store, Answer.blocking(query), {
        topics: [...peerings.topics, ...Exports.topics],
        read: value,
        suppress: (before, after) => Equal.equals(before, after)
      })
    return handlers
      .handleRaw("token", ({ request }) =>
        Effect.gen(function*() {
          const body = yield* Answer.body(request, PeeringApi.TokenRequest, { snakeCase: false })
          return Answer.plain({ PeeringToken: yield* Effect.fromResult(peerings.generateToken(body)) })
        }))
      .handleRaw("establish", ({ request }) =>
        Effect.gen(function*() {
          yield* peerings.establish(yield* Answer.body(request, PeeringApi.EstablishRequest, { snakeCase: false }))
          return Answer.plain({})
        }))
      .handle("list", ({ query }) => Effect.map(read(query, peerings.list), Answer.indexed))
      .handle("read", ({ params, query }) =>
        Effect.gen(function*() {
          const { index, value } = yield* read(query, () => peerings.get(params.name))
          return value === undefined
            ? yield* Answer.notFound(`Peering not found for ${JSON.stringify(params.name)}`)
            : Answer.indexed({ index, value })
        }))
      .handle("delete", ({ params }) => Effect.as(peerings.remove(params.name), Answer.done))
  })
