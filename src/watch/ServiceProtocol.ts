/**
 * The protocol of a service as its config entries have it: `tcp`, `http`, `http2` or `grpc`. It says whether callers are
 * judged by connection or by request. Read from its discovery chain, which merges service and proxy defaults.
 */
import { Effect, type Scope } from "effect"
import * as BlockingQuery from "../consul/BlockingQuery.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as News from "./News.ts"
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
      Effect.gen(function*() {
        const news = yield* News.of(watchDefaults(consul, service))
        return yield* Watched.make(
          { what: `the protocol of ${service}`, watch: "protocol", subject: service },
          BlockingQuery.byIndex(name, (known) =>
            consul.hold(name, { every: "1 minute", news }, known, (api, known) =>
              api.discoveryChain.compile({
                params: { service },
                query: ConsulClient.blocking(known),
                payload: {}
              })).pipe(
                Effect.map(({ body, headers }) => ({
                  value: body.Chain.Protocol || "tcp",
                  cursor: headers["x-consul-index"]
                }))
              ))
        )
      })
    )
  })

/**
 * The entries that the protocol of a service comes from, as text: for those who ask when they change. Without the rights for
 * an entry it is as if it was not there, so what they say is not for deciding on.
 */
const watchDefaults = (consul: ConsulClient.ConsulClient["Service"], service: string) =>
  Effect.gen(function*() {
    const services = yield* watchEntries(consul, "service-defaults")
    const proxies = yield* watchEntries(consul, "proxy-defaults")
    const own = Watched.map(services, "its defaults", (entries) => entries.get(service.toLowerCase()))
    return Watched.zip(own, proxies, "its defaults")
  })

const watchEntries = (consul: ConsulClient.ConsulClient["Service"], kind: "service-defaults" | "proxy-defaults") => {
  const name = `GET /v1/config/${kind}`
  return consul.share(
    name,
    Watched.make(
      { what: `the ${kind}`, watch: "protocol", subject: "*" },
      BlockingQuery.byIndex(name, (known) =>
        Effect.map(
          consul.hold(
            name,
            "vital",
            known,
            (api, known) => api.config.list({ params: { kind }, query: ConsulClient.blocking(known) })
          ),
          ({ body, headers }) => ({
            value: new Map(body.map((entry) => [(entry.Name ?? "").toLowerCase(), JSON.stringify(entry)])),
            cursor: headers["x-consul-index"]
          })
        ))
    )
  )
}
