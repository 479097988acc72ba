/** `/v1/catalog/…`, `/v1/health/…` and `/v1/status/…`: what the servers know. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as ApiError from "./ApiError.ts"
import * as Catalog from "./Catalog.ts"
import * as Health from "./Health.ts"
import * as Query from "./Query.ts"
import * as ResponseHeaders from "./ResponseHeaders.ts"

const go = Schema.toCodecGoJson
const answer = <S extends Schema.Top>(body: S) => HttpApiSchema.WithHeaders(body, ResponseHeaders.common)
const indexed = <S extends Schema.Top>(body: S) => HttpApiSchema.WithHeaders(body, ResponseHeaders.indexed)
const service = { service: Schema.String }
const node = { node: Schema.String }

const services = go(Schema.Record(Schema.String, Schema.Array(Schema.String)))
const instances = go(Schema.Array(Catalog.CatalogService))
const entries = go(Schema.Array(Health.ServiceEntry))

export class CatalogApi extends HttpApiGroup.make("catalog").add(
  HttpApiEndpoint.get("services", "/v1/catalog/services", {
    query: { ...Query.catalog, peer: Query.text },
    success: indexed(services),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("service", "/v1/catalog/service/:service", {
    params: service,
    query: Query.instances,
    success: indexed(instances),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("connect", "/v1/catalog/connect/:service", {
    params: service,
    query: Query.instances,
    success: indexed(instances),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("nodes", "/v1/catalog/nodes", {
    query: { ...Query.catalog, peer: Query.text },
    success: indexed(go(Schema.Array(Health.Node))),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("node", "/v1/catalog/node/:node", {
    params: node,
    query: { ...Query.catalog, peer: Query.text },
    success: indexed(Schema.NullOr(go(Catalog.NodeServices))),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("nodeServices", "/v1/catalog/node-services/:node", {
    params: node,
    query: { ...Query.catalog, peer: Query.text, "merge-central-config": Query.presence },
    success: indexed(go(Catalog.NodeServiceList)),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("gatewayServices", "/v1/catalog/gateway-services/:gateway", {
    params: { gateway: Schema.String },
    query: Query.catalog,
    success: indexed(go(Schema.Array(Catalog.GatewayService))),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("datacenters", "/v1/catalog/datacenters", {
    success: HttpApiSchema.WithHeaders(go(Schema.Array(Schema.String)), ResponseHeaders.cached),
    error: ApiError.common
  }),
  HttpApiEndpoint.put("register", "/v1/catalog/register", {
    query: Query.scope,
    payload: Catalog.Registration,
    success: answer(Schema.Boolean),
    error: ApiError.common
  }),
  HttpApiEndpoint.put("deregister", "/v1/catalog/deregister", {
    query: Query.scope,
    payload: Catalog.Deregistration,
    success: answer(Schema.Boolean),
    error: ApiError.common
  })
) {}

export class HealthApi extends HttpApiGroup.make("health").add(
  HttpApiEndpoint.get("service", "/v1/health/service/:service", {
    params: service,
    query: Query.health,
    success: indexed(entries),
    error: ApiError.common
  }),
  /** The mesh-capable instances of a service: its sidecars, and those that are native. */
  HttpApiEndpoint.get("connect", "/v1/health/connect/:service", {
    params: service,
    query: Query.health,
    success: indexed(entries),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("ingress", "/v1/health/ingress/:service", {
    params: service,
    query: Query.health,
    success: indexed(entries),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("node", "/v1/health/node/:node", {
    params: node,
    query: { ...Query.catalog, peer: Query.text },
    success: indexed(go(Schema.Array(Health.Check))),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("checks", "/v1/health/checks/:service", {
    params: service,
    query: { ...Query.catalog, peer: Query.text },
    success: indexed(go(Schema.Array(Health.Check))),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("state", "/v1/health/state/:state", {
    params: { state: Schema.String },
    query: { ...Query.catalog, peer: Query.text },
    success: indexed(go(Schema.Array(Health.Check))),
    error: ApiError.common
  })
) {}

export class StatusApi extends HttpApiGroup.make("status").add(
  HttpApiEndpoint.get("leader", "/v1/status/leader", {
    query: Query.scope,
    /** Needs no right. `date` is the clock of the agent. */
    success: HttpApiSchema.WithHeaders(Schema.String, {
      ...ResponseHeaders.common,
      date: Schema.optionalKey(Schema.String)
    }),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("peers", "/v1/status/peers", {
    query: Query.scope,
    success: answer(go(Schema.Array(Schema.String))),
    error: ApiError.common
  })
) {}
