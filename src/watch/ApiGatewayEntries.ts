/** The config entries that API gateways go by, all of their kinds. */
import { Effect, Option, Result, Schema, type Scope } from "effect"
import * as ApiWatch from "../consul/ApiWatch.ts"
import * as ApiGateway from "../consul/config/ApiGateway.ts"
import type * as ConsulClient from "../consul/ConsulClient.ts"
import * as Watched from "./Watched.ts"

export interface ApiGatewayEntries {
  readonly gateways: ReadonlyArray<ApiGateway.ApiGateway>
  readonly httpRoutes: ReadonlyArray<ApiGateway.HttpRoute>
  readonly tcpRoutes: ReadonlyArray<ApiGateway.TcpRoute>
  readonly certificates: ReadonlyArray<ApiGateway.InlineCertificate>
}

/** Needs `mesh:read`, or what the agent asks for besides. One that is not understood is as if it were not there. */
export const watch = (
  consul: ConsulClient.ConsulClient["Service"]
): Effect.Effect<Watched.Watched<ApiGatewayEntries>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const what = "the config entries of API gateways"
    const gateways = yield* list(consul, "api-gateway", ApiGateway.ApiGateway)
    const httpRoutes = yield* list(consul, "http-route", ApiGateway.HttpRoute)
    const tcpRoutes = yield* list(consul, "tcp-route", ApiGateway.TcpRoute)
    const certificates = yield* list(consul, "inline-certificate", ApiGateway.InlineCertificate)
    const both = Watched.zip(
      Watched.zip(gateways, certificates, what),
      Watched.zip(httpRoutes, tcpRoutes, what),
      what
    )
    return Watched.map(both, what, ([[gateways, certificates], [httpRoutes, tcpRoutes]]) => ({
      gateways,
      certificates,
      httpRoutes,
      tcpRoutes
    }))
  })

const list = <S extends Schema.Codec<unknown, unknown>>(
  consul: ConsulClient.ConsulClient["Service"],
  kind: string,
  schema: S
): Effect.Effect<Watched.Watched<ReadonlyArray<S["Type"]>>, never, Scope.Scope> => {
  const name = `GET /v1/config/${kind}`
  const decode = Schema.decodeUnknownOption(Schema.toCodecGoJson(schema))
  return consul.share(
    name,
    Watched.make(
      { what: `the entries of kind ${kind}`, watch: "gateways", subject: kind },
      ApiWatch.byIndex(consul, {
        name,
        sharing: "vital",
        request: (api, blocking) => api.config.list({ params: { kind }, query: blocking }),
        decode: (entries) => Result.succeed(entries.flatMap((entry) => Option.toArray(decode(entry))))
      })
    )
  )
}
