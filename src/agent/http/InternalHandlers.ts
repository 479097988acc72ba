/** `/v1/internal/…` */
import { Effect, Equal } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { ConsulApi } from "../../consul/ConsulApi.ts"
import type * as AgentState from "../AgentState.ts"
import * as BlockingRead from "../BlockingRead.ts"
import * as Answer from "./Answer.ts"

export const layer = ({ gateways, store }: AgentState.AgentState) =>
  HttpApiBuilder.group(ConsulApi, "internal", (handlers) =>
    handlers.handle("meshGateways", ({ query }) =>
      Effect.map(
        BlockingRead.read(store, Answer.blocking(query), {
          topics: gateways.topics,
          read: gateways.all,
          // The index is that of the whole catalog.
          suppress: (before, after) => Equal.equals(before, after)
        }),
        Answer.indexed
      )))
