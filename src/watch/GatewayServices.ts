/** The services that gateways of one name are the way to, as config entries say. */
import { type Effect, Result, type Scope } from "effect"
import * as ApiWatch from "../consul/ApiWatch.ts"
import type * as Catalog from "../consul/Catalog.ts"
import type * as ConsulClient from "../consul/ConsulClient.ts"
import * as Watched from "./Watched.ts"

/** Ordered by their names. Needs `service:read` on them: what the token may not see is missing. */
export const watch = (
  consul: ConsulClient.ConsulClient["Service"],
  gateway: string
): Effect.Effect<Watched.Watched<ReadonlyArray<Catalog.GatewayService>>, never, Scope.Scope> => {
  const name = `GET /v1/catalog/gateway-services/${gateway}`
  return consul.share(
    name,
    Watched.make(
      { what: `the services of the gateway ${gateway}`, watch: "services", subject: gateway },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "vital",
        request: (api, blocking) => api.catalog.gatewayServices({ params: { gateway }, query: blocking }),
        decode: (links) => Result.succeed(links.toSorted((a, b) => a.Service.Name < b.Service.Name ? -1 : 1))
      })
    )
  )
}
