/** The names of all services that the catalog has, in lower case: those of sidecars and gateways among them. */
import { type Effect, Result, type Scope } from "effect"
import * as ApiWatch from "../consul/ApiWatch.ts"
import type * as ConsulClient from "../consul/ConsulClient.ts"
import * as Watched from "./Watched.ts"

/** One for each client. */
export const watch = (
  consul: ConsulClient.ConsulClient["Service"]
): Effect.Effect<Watched.Watched<ReadonlySet<string>>, never, Scope.Scope> => {
  const name = "GET /v1/catalog/services"
  return consul.share(
    name,
    Watched.make(
      { what: "the names of services", watch: "services", subject: "*" },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "vital",
        request: (api, blocking) => api.catalog.services({ query: blocking }),
        decode: (services) => Result.succeed(new Set(Object.keys(services).map((name) => name.toLowerCase())))
      })
    )
  )
}
