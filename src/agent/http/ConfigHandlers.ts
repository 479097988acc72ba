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

export const layer = (state: AgentState.AgentState) => Layer.mergeAll(configLayer(state), chainLayer(state))

const configLayer = (state: AgentState.AgentState) =>
  HttpApiBuilder.group(ConsulApi, "config", (handlers) =>
    handlers
      .handleRaw("write", ({ query, request }) =>
        Effect.gen(function*() {
          const text = yield* Effect.mapError(request.text, (error) => Answer.badRequest(error.message))
          const entry = yield* Effect.fromResult(DecodeEntry.decode(text))
          const written = yield* Effect.mapError(
            Effect.fromResult(state.config.write(entry, query.cas)),
            Answer.internal
          )
          return Answer.plain(written)
        }))
      .handle("list", ({ params, query }) =>
        Effect.gen(function*() {
          const kind = yield* known(params.kind, Answer.internal)
          const keep = yield* Answer.filter(
            kind === "service-defaults" ? query.filter : undefined,
            ConfigEntry.ConfigEntry
          )
          return Answer.indexed(
            yield* read(state, query, () => state.config.list(kind).map(DecodeEntry.encode).filter(keep))
          )
        }))
      .handle("read", ({ params, query }) =>
        Effect.gen(function*() {
          const kind = yield* known(params.kind, Answer.internal)
          const { index, value } = yield* read(state, query, () => state.config.get(kind, params.name))
          if (value === undefined) {
            return yield* new ApiError.NotFound({
              body: `Config entry not found for ${JSON.stringify(kind)} / ${JSON.stringify(params.name)}`,
              index: BigInt(index)
            })
          }
          return Answer.indexed({ index, value: DecodeEntry.encode(value) })
        }))
      .handle("delete", ({ params, query }) =>
        Effect.gen(function*() {
          const kind = yield* known(params.kind, Answer.badRequest)
          const removed = yield* Effect.mapError(
            Effect.fromResult(state.config.remove(kind, params.name, query.cas)),
            Answer.internal
          )
          return Answer.plain(query.cas === undefined ? {} : removed)
        })))

const chainLayer = (state: AgentState.AgentState) =>
  HttpApiBuilder.group(ConsulApi, "discoveryChain", (handlers) =>
    handlers
      .handle("read", ({ params, query }) => chain(state, params.service, query, {}))
      .handleRaw("compile", ({ params, query, request }) =>
        Effect.gen(function*() {
          const text = yield* Effect.mapError(request.text, (error) => Answer.badRequest(error.message))
          const overrides = yield* Effect.fromResult(ChainOverrides.decode(text))
          return yield* chain(state, params.service, query, overrides)
        })))

interface WaitQuery {
  readonly index?: bigint
  readonly wait?: string
}

const known = <E>(kind: string, refuse: (body: string) => E) =>
  DecodeEntry.isKind(kind) ? Effect.succeed(kind) : Effect.fail(refuse(`invalid config entry kind: ${kind}`))

/** The index is that of all config entries: a change of others wakes no reader. */
const read = <A>({ store }: AgentState.AgentState, query: WaitQuery, value: () => A) =>
  BlockingRead.read(store, Answer.blocking(query), {
    topics: ConfigEntries.topics,
    read: value,
    suppress: (before, after) => Equal.equals(before, after)
  })

const chain = Effect.fnUntraced(function*(
  state: AgentState.AgentState,
  service: string,
  query: WaitQuery & { readonly "compile-dc"?: string; readonly cached?: boolean },
  overrides: DiscoveryChain.Overrides
) {
  const { index, value } = yield* read(state, query, () =>
    CompileChain.compile({
      service,
      datacenter: query["compile-dc"] || state.settings.datacenter,
      trustDomain: state.roots.trustDomain,
      entries: state.config.all(),
      overrides
    }))
  const Chain = yield* Effect.fromResult(
    Result.mapError(value, (text) => Answer.internal(`failed to compile discovery chain: ${text}`))
  )
  return Answer.consistent({ index, value: { Chain } }, query)
})
