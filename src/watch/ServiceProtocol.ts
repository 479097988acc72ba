/**
 * The protocol of a service as its config entries have it: `tcp`, `http`, `http2` or `grpc`. It says whether callers are
 * judged by connection or by request. Read from its discovery chain, which merges service and proxy defaults.
 */
import { Effect, type Scope } from "effect"
import * as BlockingQuery from "../consul/BlockingQuery.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as Watched from "./Watched.ts"

/** Shared and reference-counted. Needs `service:read`. */
export const watch = (
  service: string
): Effect.Effect<Watched.Watched<string>, never, ConsulClient.ConsulClient | Scope.Scope> =>
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    const name = `POST /v1/discovery-chain/${service}`
    return yield* consul.share(
      `${name} protocol`,
      Watched.make(
        { what: `the protocol of ${service}`, watch: "protocol", subject: service },
        BlockingQuery.byIndex(name, (known) =>
          consul.hold(
            name,
            "vital",
            known.wait,
            (api, wait) =>
              api.discoveryChain.compile({
                params: { service },
                query: ConsulClient.blocking({ ...known, wait }),
                payload: {}
              })
          ).pipe(
            Effect.map(({ body, headers }) => ({
              value: body.Chain.Protocol || "tcp",
              cursor: headers["x-consul-index"]
            }))
          ))
      )
    )
  })
