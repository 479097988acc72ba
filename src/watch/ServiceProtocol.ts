/**
 * The protocol of a service as its config entries have it: `tcp`, `http`, `http2` or `grpc`. It says whether callers are
 * judged by connection or by request. Read from its discovery chain, which merges service and proxy defaults.
 */
import { Effect, Result, type Scope } from "effect"
import * as ApiWatch from "../consul/ApiWatch.ts"
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
          ApiWatch.byIndex(consul, {
            name,
            sharing: { every: "1 minute", news },
            request: (api, blocking) =>
              api.discoveryChain.compile({ params: { service }, query: blocking, payload: {} }),
            decode: ({ Chain }) => Result.succeed(Chain.Protocol || "tcp")
          })
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
      ApiWatch.byIndex(consul, {
        name,
        sharing: "vital",
        request: (api, blocking) => api.config.list({ params: { kind }, query: blocking }),
        decode: (entries) =>
          Result.succeed(
            new Map(entries.map((entry) => [(entry.Name ?? "").toLowerCase(), JSON.stringify(entry)]))
          )
      })
    )
  )
}
