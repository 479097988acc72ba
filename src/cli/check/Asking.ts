/** Questions to the agent whose failures are findings. */
import { type Duration, Effect, type Result } from "effect"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import type * as ConsulError from "../../consul/ConsulError.ts"

export interface Asking {
  readonly ask: <A, E extends ConsulClient.CallError>(
    name: string,
    request: (api: ConsulClient.Api) => Effect.Effect<A, E>
  ) => Effect.Effect<Result.Result<A, ConsulError.ConsulError>>
}

/** `within`: for each. */
export const make = (within: Duration.Input): Effect.Effect<Asking, never, ConsulClient.ConsulClient> =>
  Effect.map(ConsulClient.ConsulClient, (consul) => ({
    ask: (name, request) => Effect.result(consul.call(name, request, within))
  }))
