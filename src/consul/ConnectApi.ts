/** `/v1/connect/…`: the certificate authority and the intentions of the mesh. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as Intention from "../intention/Intention.ts"
import * as ApiError from "./ApiError.ts"
import * as CertificateAuthority from "./CertificateAuthority.ts"
import * as Go from "./GoJson.ts"
import * as Query from "./Query.ts"
import * as ResponseHeaders from "./ResponseHeaders.ts"

const go = Schema.toCodecGoJson
const answer = <S extends Schema.Top>(body: S) => HttpApiSchema.WithHeaders(body, ResponseHeaders.common)
const indexed = <S extends Schema.Top>(body: S) => HttpApiSchema.WithHeaders(body, ResponseHeaders.indexed)

/** One source of a service-intentions entry. */
export const IntentionUpsert = Schema.Struct({
  SourceType: Schema.optionalKey(Schema.String),
  Action: Schema.optionalKey(Schema.String),
  Permissions: Schema.optionalKey(Schema.Array(Schema.JsonObject)),
  Description: Schema.optionalKey(Schema.String),
  Meta: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
})
export interface IntentionUpsert extends Schema.Schema.Type<typeof IntentionUpsert> {}

/** As the commands of old write an intention. What the server computes may be sent along, and is ignored. */
export const IntentionCreate = Schema.Struct({
  ID: Schema.optionalKey(Schema.String),
  SourceNS: Schema.optionalKey(Schema.String),
  SourceName: Schema.String,
  DestinationNS: Schema.optionalKey(Schema.String),
  DestinationName: Schema.String,
  SourceType: Schema.optionalKey(Schema.String),
  Action: Schema.optionalKey(Schema.String),
  Description: Schema.optionalKey(Schema.String),
  Meta: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  Precedence: Schema.optionalKey(Schema.Finite),
  CreatedAt: Schema.optionalKey(Schema.String),
  UpdatedAt: Schema.optionalKey(Schema.String),
  CreateIndex: Schema.optionalKey(Schema.Finite),
  ModifyIndex: Schema.optionalKey(Schema.Finite)
})
export interface IntentionCreate extends Schema.Schema.Type<typeof IntentionCreate> {}

export class ConnectApi extends HttpApiGroup.make("connect").add(
  HttpApiEndpoint.get("caRoots", "/v1/connect/ca/roots", {
    query: { ...Query.scope, ...Query.consistency, ...Query.blocking },
    success: indexed(go(CertificateAuthority.Roots)),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("caConfiguration", "/v1/connect/ca/configuration", {
    query: Query.scope,
    success: answer(go(CertificateAuthority.Configuration)),
    error: ApiError.common
  }),
  HttpApiEndpoint.put("setCaConfiguration", "/v1/connect/ca/configuration", {
    query: Query.scope,
    payload: CertificateAuthority.ConfigurationUpdate,
    success: answer(HttpApiSchema.Empty(200)),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("intentions", "/v1/connect/intentions", {
    query: { ...Query.scope, ...Query.consistency, ...Query.blocking, ...Query.filter },
    success: indexed(go(Schema.Array(Intention.Intention))),
    error: ApiError.common
  }),
  /** Answers with the id by which `intentionById` finds it. */
  HttpApiEndpoint.post("createIntention", "/v1/connect/intentions", {
    query: Query.scope,
    payload: IntentionCreate,
    success: answer(Schema.Struct({ ID: Schema.String })),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("matchIntentions", "/v1/connect/intentions/match", {
    query: {
      ...Query.scope,
      ...Query.consistency,
      ...Query.blocking,
      by: Query.text,
      name: Schema.optionalKey(Schema.Array(Schema.String))
    },
    /** By each `name` as it was asked for. Nothing that matches is `null` on the wire. */
    success: indexed(go(Schema.Record(Schema.String, Go.nilList(Intention.Intention)))),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("checkIntention", "/v1/connect/intentions/check", {
    query: { ...Query.scope, source: Query.text, destination: Query.text, "source-type": Query.text },
    success: answer(Schema.Struct({ Allowed: Schema.Boolean })),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("intention", "/v1/connect/intentions/exact", {
    query: { ...Query.scope, ...Query.consistency, source: Query.text, destination: Query.text },
    success: indexed(go(Intention.Intention)),
    error: ApiError.common
  }),
  HttpApiEndpoint.put("setIntention", "/v1/connect/intentions/exact", {
    query: { ...Query.scope, source: Query.text, destination: Query.text },
    payload: IntentionUpsert,
    success: answer(Schema.Boolean),
    error: ApiError.common
  }),
  HttpApiEndpoint.delete("deleteIntention", "/v1/connect/intentions/exact", {
    query: { ...Query.scope, source: Query.text, destination: Query.text },
    success: answer(Schema.Boolean),
    error: ApiError.common
  }),
  HttpApiEndpoint.get("intentionById", "/v1/connect/intentions/:id", {
    params: { id: Schema.String },
    query: { ...Query.scope, ...Query.consistency },
    success: indexed(go(Intention.Intention)),
    error: ApiError.common
  })
) {}
