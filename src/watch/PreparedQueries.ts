/** The instances that prepared queries find. Consul does not announce changes of these: they are executed again and again. */
import { Context, Duration, Effect, Layer, Result, type Scope } from "effect"
import * as BlockingQuery from "../consul/BlockingQuery.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import type * as Health from "../consul/Health.ts"
import * as Endpoints from "./Endpoints.ts"
import * as LeafCertificate from "./LeafCertificate.ts"
import * as Watched from "./Watched.ts"

/** Two requests with equal fields share one watch. */
export interface Request {
  /** Its name, or its id. */
  readonly query: string
  /** Where it is executed; absent: the agent's own datacenter. */
  readonly datacenter?: string | undefined
  /** Between two executions, up to a tenth less. Default: 30 seconds. */
  readonly interval?: Duration.Input | undefined
}

/** The instances by id, each with the identity that it has to present; or why there is no such query. */
export type Found = Result.Result<ReadonlyArray<Endpoints.Endpoint>, string>

export class PreparedQueries extends Context.Service<PreparedQueries, {
  /**
   * Shared and reference-counted. Failures, a query that is gone included, leave the last instances in force; that there
   * is none is an answer only as long as there was none.
   */
  readonly watch: (request: Request) => Effect.Effect<Watched.Watched<Found>, never, Scope.Scope>
}>()("effect-mesh/watch/PreparedQueries") {}

/** Serves what `resolve` says. Default: that there are none. */
export const layerStatic = (
  resolve: (request: Request) => Watched.Watched<Found> = ({ query }) =>
    Watched.constant("the prepared queries", Result.fail(`there is no prepared query ${query} here`))
): Layer.Layer<PreparedQueries> =>
  Layer.succeed(PreparedQueries, { watch: (request) => Effect.sync(() => resolve(request)) })

/** Asks the Consul agent. The token needs `service:read` on what the query finds. */
export const layer: Layer.Layer<PreparedQueries, never, ConsulClient.ConsulClient | LeafCertificate.LeafCertificate> =
  Layer.effect(
    PreparedQueries,
    Effect.gen(function*() {
      const consul = yield* ConsulClient.ConsulClient
      const leaf = yield* LeafCertificate.LeafCertificate
      return PreparedQueries.of({
        watch: (request) => Effect.flatMap(leaf.get, ({ identity }) => execute(consul, request, identity.datacenter))
      })
    })
  )

const execute = (consul: ConsulClient.ConsulClient["Service"], request: Request, home: string) => {
  const { datacenter, interval, query } = request
  const name = `GET /v1/query/${query}/execute`
  const every = Duration.fromInputUnsafe(interval ?? "30 seconds")
  return consul.share(
    `${name} ${datacenter ?? ""} ${Duration.toMillis(every)}`,
    Effect.suspend(() => {
      let found = false
      const once = consul.call(name, (api) =>
        api.query.execute({
          params: { query },
          query: { connect: "true", ...(datacenter === undefined ? {} : { dc: datacenter }) }
        })).pipe(
          Effect.map(({ body }): Found => {
            found = true
            return Result.succeed(toEndpoints(body.Nodes, home))
          }),
          Effect.catchReason("ConsulError", "NotFound", (_, error) =>
            found
              ? Effect.fail(error)
              : Effect.succeed<Found>(
                Result.fail(`there is no prepared query ${query}: create it with a POST to /v1/query`)
              ))
        )
      return Watched.make(
        { what: `the instances of the prepared query ${query}`, watch: "query", subject: query },
        BlockingQuery.polled(name, every, () => once)
      )
    })
  )
}

/**
 * By id, as the agent shuffles them. What the query answers is healthy by its own rules, which may leave out checks:
 * a critical one is no reason against it. Left out is what takes no part in the mesh, or in another one.
 */
export const toEndpoints = (
  entries: ReadonlyArray<Health.ServiceEntry>,
  home: string
): ReadonlyArray<Endpoints.Endpoint> =>
  entries.flatMap((entry) => {
    const { Checks, Node, Service } = entry
    const service = Service.Kind === "connect-proxy"
      ? Service.Proxy.DestinationServiceName
      : Service.Connect.Native
      ? Service.Service
      : ""
    if (service === "" || Service.PeerName !== "") return []
    const judged = { ...entry, Checks: Checks.filter(({ Status }) => Status === "passing" || Status === "warning") }
    return Endpoints.toEndpoint(judged, { onlyPassing: false }, home).map((endpoint) => ({
      ...endpoint,
      expected: [{ service, datacenter: Node.Datacenter }]
    }))
  }).sort((a, b) => a.id < b.id ? -1 : 1)
