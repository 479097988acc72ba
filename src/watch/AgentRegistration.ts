/** A service as it is registered at the local agent: what it has to do. */
import { Effect, type Result, type Scope } from "effect"
import type * as AgentService from "../consul/AgentService.ts"
import * as BlockingQuery from "../consul/BlockingQuery.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as ConsulError from "../consul/ConsulError.ts"
import * as Watched from "./Watched.ts"

export interface Options<A> {
  /** For logs and errors: `the proxy registration`. */
  readonly what: string
  readonly id: string
  /** For errors: `this proxy`. */
  readonly whose: string
  /** Fails with what is wrong with it, for people. */
  readonly decode: (service: AgentService.AgentService) => Result.Result<A, string>
}

/** Those of equal ids are watched once, and have to be read in one way. */
export const watch = <A>(
  { decode, id, what, whose }: Options<A>
): Effect.Effect<Watched.Watched<A>, never, ConsulClient.ConsulClient | Scope.Scope> =>
  Effect.flatMap(ConsulClient.ConsulClient, (consul) => {
    const name = `GET /v1/agent/service/${id}`
    return consul.share(
      name,
      Watched.make(
        { what, watch: "registration", subject: id },
        BlockingQuery.byHash(name, (known) =>
          consul.hold(
            name,
            { every: "5 seconds", news: Effect.never },
            known,
            (api, { cursor, wait }) =>
              api.agent.service({ params: { id }, query: cursor === undefined ? {} : { hash: cursor, wait } })
          ).pipe(
            Effect.catchReason("ConsulError", "NotFound", (_, { request }) => Effect.fail(unknown(request, whose))),
            Effect.flatMap(({ body, headers }) =>
              Effect.fromResult(decode(body)).pipe(
                Effect.mapError((why) => ConsulError.undecodable(name, why)),
                Effect.map((value) => ({ value, cursor: headers["x-consul-contenthash"] }))
              )
            )
          ))
      )
    )
  })

/** Before it is registered, after it was taken out, and from some agents where the token may not read it. */
const unknown = (request: string, whose: string): ConsulError.ConsulError =>
  new ConsulError.ConsulError({
    request,
    reason: new ConsulError.NotFound({
      body:
        `the agent has no such registration, or the token may not read it (service:read): register it, or stop ${whose}`
    })
  })
