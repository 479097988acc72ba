/** One endpoint of the agent's API, asked for ever by a blocking query over connections that watches share. */
import { Effect, Result, type Stream } from "effect"
import * as BlockingQuery from "./BlockingQuery.ts"
import * as CompleteAnswer from "./CompleteAnswer.ts"
import * as ConsulClient from "./ConsulClient.ts"
import * as ConsulError from "./ConsulError.ts"

/** The query parameters that make a request wait. */
export type Blocking = ReturnType<typeof ConsulClient.blocking>

interface Indexed<out Body> {
  readonly body: Body
  readonly headers: {
    readonly "x-consul-index"?: bigint
    readonly "x-consul-results-filtered-by-acls"?: boolean
  }
}

export interface Options<Body, A, E extends ConsulClient.CallError> {
  /** For errors: `GET /v1/agent/connect/ca/roots`. */
  readonly name: string
  readonly sharing: ConsulClient.Sharing
  readonly request: (api: ConsulClient.Api, blocking: Blocking) => Effect.Effect<Indexed<Body>, E>
  /** The ACL rule that the token needs. Present: an answer from which something was left out is a failure. */
  readonly right?: string
  /** Fails with what is wrong with the answer. */
  readonly decode: (body: Body) => Result.Result<A, string>
}

/** For endpoints that answer `X-Consul-Index`. */
export const byIndex = <Body, A, E extends ConsulClient.CallError>(
  consul: ConsulClient.ConsulClient["Service"],
  { decode, name, request, right, sharing }: Options<Body, A, E>
): Stream.Stream<BlockingQuery.Observation<A>> =>
  BlockingQuery.byIndex(name, (known) =>
    Effect.gen(function*() {
      const answer = yield* consul.hold(
        name,
        sharing,
        known,
        (api, known) => request(api, ConsulClient.blocking(known))
      )
      if (right !== undefined) yield* CompleteAnswer.body(name, right, answer)
      const value = yield* Effect.mapError(
        Effect.fromResult(decode(answer.body)),
        (why) => ConsulError.undecodable(name, why)
      )
      return { value, cursor: answer.headers["x-consul-index"] }
    }))
