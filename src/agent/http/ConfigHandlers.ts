/** `/v1/config…` and `/v1/discovery-chain/…` */
import { Effect, Equal, Layer, Result } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as ApiError from "../../consul/ApiError.ts"
import * as ConfigEntry from "../../consul/ConfigEntry.ts"
import { ConsulApi } from "../../consul/ConsulApi.ts"
import * as DiscoveryChain from "../../consul/DiscoveryChain.ts"
import type * as AgentState from "../AgentState.ts"
import * as BlockingRead from "../BlockingRead.ts"
import * as CompileChain from "../chain/CompileChain.ts"
import * as ConfigEntries from "../config/ConfigEntries.ts"
import * as DecodeEntry from "../config/DecodeEntry.ts"
import * as ChainOverrides from "../chain/ChainOverrides.ts"
import * as Answer from "./Answer.ts"

export const layer = (state: AgentState.AgentState) => {
  const { config, store } = state

  const configLayer = HttpApiBuilder.group(ConsulApi, "config", (handlers) =>
    handlers
      .handleRaw("write", ({ query, request }) =>
        Effect.gen(function*() {
          const text = yield* Effect.mapError(request.text, (error) => Answer.badRequest(error.message))
          const entry = yield* Effect.fromResult(DecodeEntry.decode(text))
          const written = yield* Effect.mapError(Effect.fromResult(config.write(entry, query.cas)), Answer.internal)
          return Answer.plain(written)
        }))
      .handle("list", ({ params, query }) =>
        Effect.gen(function*() {
          if (!DecodeEntry.isKind(params.kind)) {
            return yield* Answer.internal(`invalid config entry kind: ${params.kind}`)
          }
          const keep = yield* Answer.filter(
            params.kind === "service-defaults" ? query.filter : undefined,
            ConfigEntry.ConfigEntry
          )
          const answer = yield* BlockingRead.read(store, Answer.blocking(query), {
            topics: ConfigEntries.topics,
            read: () => config.list(params.kind).map(DecodeEntry.encode).filter(keep),
            suppress: (before, after) => Equal.equals(before, after)
          })
          return Answer.indexed(answer)
        }))
      .handle("read", ({ params, query }) =>
        Effect.gen(function*() {
          if (!DecodeEntry.isKind(params.kind)) {
            return yield* Answer.internal(`invalid config entry kind: ${params.kind}`)
          }
          const answer = yield* BlockingRead.read(store, Answer.blocking(query), {
            topics: ConfigEntries.topics,
            read: () => config.get(params.kind, params.name),
            suppress: (before, after) => Equal.equals(before, after)
          })
          if (answer.value === undefined) {
            return yield* new ApiError.NotFound({
              body: `Config entry not found for ${JSON.stringify(params.kind)} / ${JSON.stringify(params.name)}`,
              index: BigInt(answer.index)
            })
          }
          return Answer.indexed({ index: answer.index, value: DecodeEntry.encode(answer.value) })
        }))
      .handle("delete", ({ params, query }) =>
        Effect.gen(function*() {
          if (!DecodeEntry.isKind(params.kind)) {
            return yield* Answer.badRequest(`invalid config entry kind: ${params.kind}`)
          }
          const removed = yield* Effect.mapError(
            Effect.fromResult(config.remove(params.kind, params.name, query.cas)),
            Answer.internal
          )
          return Answer.plain(query.cas === undefined ? {} : removed)
        })))

  const chain = (
    service: string,
    query: {
      readonly "compile-dc"?: string
      readonly index?: bigint
      readonly wait?: string
      readonly cached?: boolean
    },
    overrides: DiscoveryChain.Overrides
  ) =>
    Effect.gen(function*() {
      const answer = yield* BlockingRead.read(store, Answer.blocking(query), {
        topics: ConfigEntries.topics,
        read: () =>
          CompileChain.compile({
            service,
            datacenter: query["compile-dc"] || state.settings.datacenter,
            trustDomain: state.roots.trustDomain,
            entries: config.all(),
            overrides
          }),
        suppress: (before, after) => Equal.equals(before, after)
      })
      const Chain = yield* Effect.fromResult(
        Result.mapError(answer.value, (text) => Answer.internal(`failed to compile discovery chain: ${text}`))
      )
      return Answer.consistent({ index: answer.index, value: { Chain } }, query)
    })

  const chainLayer = HttpApiBuilder.group(ConsulApi, "discoveryChain", (handlers) =>
    handlers
      .handle("read", ({ params, query }) => chain(params.service, query, {}))
      .handleRaw("compile", ({ params, query, request }) =>
        Effect.gen(function*() {
          const text = yield* Effect.mapError(request.text, (error) => Answer.badRequest(error.message))
          const overrides = yield* Effect.fromResult(ChainOverrides.decode(text))
          return yield* chain(params.service, query, overrides)
        })))

  return Layer.mergeAll(configLayer, chainLayer)
}
