/** `/v1/agent/…`: the local agent, what is registered with it, and the mesh certificates it hands out. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as Agent from "./Agent.ts"
import * as AgentService from "./AgentService.ts"
import * as ApiError from "./ApiError.ts"
import * as CertificateAuthority from "./CertificateAuthority.ts"
import * as Health from "./Health.ts"
import * as Query from "./Query.ts"
import * as ResponseHeaders from "./ResponseHeaders.ts"

const go = Schema.toCodecGoJson
const answer = <S extends Schema.Top>(body: S) => HttpApiSchema.WithHeaders(body, ResponseHeaders.common)
const done = answer(HttpApiSchema.Empty(200))
const id = { id: Schema.String }
const checkId = { checkId: Schema.String }
const note = { ...Query.scope, note: Query.text }
const maintenance = { ...Query.scope, enable: Schema.Boolean, reason: Query.text }

const healthBody = go(AgentService.AgentHealth)
const healthListBody = go(Schema.Array(AgentService.AgentHealth))

/** The status repeats the aggregated health: 200 passing, 429 warning, 503 critical or in maintenance, 404 unknown. */
const everyHealthStatus = <S extends Schema.Top>(body: S) =>
  [
    body,
    body.pipe(HttpApiSchema.status(429)),
    body.pipe(HttpApiSchema.status(503)),
    body.pipe(HttpApiSchema.status(404))
  ] as const

export class AgentApi extends HttpApiGroup.make("agent").add(
  HttpApiEndpoint.get("self", "/v1/agent/self", { success: answer(go(Agent.Self)), error: ApiError.common }),
  HttpApiEndpoint.get("members", "/v1/agent/members", {
    query: { wan: Query.presence, segment: Query.text },
    success: answer(go(Schema.Array(Agent.Member))),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("services", "/v1/agent/services", {
    query: { ...Query.scope, ...Query.filter },
    success: HttpApiSchema.WithHeaders(
      go(Schema.Record(Schema.String, AgentService.AgentService)),
      ResponseHeaders.local
    ),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("service", "/v1/agent/service/:id", {
    params: id,
    query: { ...Query.scope, ...Query.hashBlocking },
    success: HttpApiSchema.WithHeaders(go(AgentService.AgentService), ResponseHeaders.hashed),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("checks", "/v1/agent/checks", {
    query: { ...Query.scope, ...Query.filter },
    success: answer(go(Schema.Record(Schema.String, Health.Check))),
    error: ApiError.common
  }),
  HttpApiEndpoint.put("registerService", "/v1/agent/service/register", {
    query: { ...Query.scope, "replace-existing-checks": Query.switchable },
    payload: AgentService.ServiceRegistration,
    success: done,
    error: ApiError.common
  }),
  HttpApiEndpoint.put("deregisterService", "/v1/agent/service/deregister/:id", {
    params: id,
    query: Query.scope,
    success: done,
    error: ApiError.common
  }),
  HttpApiEndpoint.put("serviceMaintenance", "/v1/agent/service/maintenance/:id", {
    params: id,
    query: maintenance,
    success: done,
    error: ApiError.common
  }),
  HttpApiEndpoint.put("nodeMaintenance", "/v1/agent/maintenance", {
    query: maintenance,
    success: done,
    error: ApiError.common
  }),
  HttpApiEndpoint.put("registerCheck", "/v1/agent/check/register", {
    query: Query.scope,
    payload: AgentService.CheckRegistration,
    success: done,
    error: ApiError.common
  }),
  HttpApiEndpoint.put("deregisterCheck", "/v1/agent/check/deregister/:checkId", {
    params: checkId,
    query: Query.scope,
    success: done,
    error: ApiError.common
  }),
  HttpApiEndpoint.put("passCheck", "/v1/agent/check/pass/:checkId", {
    params: checkId,
    query: note,
    success: done,
    error: ApiError.common
  }),
  HttpApiEndpoint.put("warnCheck", "/v1/agent/check/warn/:checkId", {
    params: checkId,
    query: note,
    success: done,
    error: ApiError.common
  }),
  HttpApiEndpoint.put("failCheck", "/v1/agent/check/fail/:checkId", {
    params: checkId,
    query: note,
    success: done,
    error: ApiError.common
  }),
  HttpApiEndpoint.put("updateCheck", "/v1/agent/check/update/:checkId", {
    params: checkId,
    query: Query.scope,
    payload: AgentService.CheckUpdate,
    success: done,
    error: ApiError.common
  }),
  HttpApiEndpoint.get("serviceHealthById", "/v1/agent/health/service/id/:id", {
    params: id,
    query: Query.scope,
    success: everyHealthStatus(healthBody),
    error: ApiError.exceptHealth
  }),
  HttpApiEndpoint.get("serviceHealthByName", "/v1/agent/health/service/name/:name", {
    params: { name: Schema.String },
    query: Query.scope,
    success: everyHealthStatus(healthListBody),
    error: ApiError.exceptHealth
  }),
  HttpApiEndpoint.get("caRoots", "/v1/agent/connect/ca/roots", {
    query: { ...Query.scope, ...Query.blocking },
    success: HttpApiSchema.WithHeaders(go(CertificateAuthority.Roots), ResponseHeaders.indexed),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("caLeaf", "/v1/agent/connect/ca/leaf/:service", {
    params: { service: Schema.String },
    query: { ...Query.scope, ...Query.blocking },
    success: HttpApiSchema.WithHeaders(go(CertificateAuthority.Leaf), ResponseHeaders.indexed),
    error: ApiError.common
  }),
  HttpApiEndpoint.post("authorize", "/v1/agent/connect/authorize", {
    query: Query.scope,
    payload: CertificateAuthority.AuthorizeRequest,
    success: HttpApiSchema.WithHeaders(go(CertificateAuthority.AuthorizeResponse), ResponseHeaders.cached),
    error: ApiError.common
  })
) {}
