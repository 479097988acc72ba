/** `/v1/query…`: prepared queries. They are written by id, and executed by name or id. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as ApiError from "./ApiError.ts"
import * as PreparedQuery from "./PreparedQuery.ts"
import * as Query from "./Query.ts"
import * as ResponseHeaders from "./ResponseHeaders.ts"

const go = Schema.toCodecGoJson
const answer = <S extends Schema.Top>(body: S) => HttpApiSchema.WithHeaders(body, ResponseHeaders.common)
const indexed = <S extends Schema.Top>(body: S) => HttpApiSchema.WithHeaders(body, ResponseHeaders.indexed)
const id = { id: Schema.String }
const queries = indexed(go(Schema.Array(PreparedQuery.PreparedQuery)))

export class QueryApi extends HttpApiGroup.make("query").add(
  HttpApiEndpoint.get("list", "/v1/query", {
    query: { ...Query.scope, ...Query.consistency },
    success: queries,
    error: ApiError.common
  }),
  HttpApiEndpoint.post("create", "/v1/query", {
    query: Query.scope,
    payload: PreparedQuery.Definition,
    success: answer(Schema.Struct({ ID: Schema.String })),
    error: ApiError.common
  }),
  /** A list of one. 500 where the id is not as long as one. */
  HttpApiEndpoint.get("read", "/v1/query/:id", {
    params: id,
    query: { ...Query.scope, ...Query.consistency },
    success: queries,
    error: ApiError.common
  }),
  HttpApiEndpoint.put("update", "/v1/query/:id", {
    params: id,
    query: Query.scope,
    payload: PreparedQuery.Definition,
    success: answer(HttpApiSchema.Empty(200)),
    error: ApiError.common
  }),
  HttpApiEndpoint.delete("delete", "/v1/query/:id", {
    params: id,
    query: Query.scope,
    success: answer(HttpApiSchema.Empty(200)),
    error: ApiError.common
  }),
  /** By id or name. Never waits for a change: ask again after a while. */
  HttpApiEndpoint.get("execute", "/v1/query/:query/execute", {
    params: { query: Schema.String },
    query: {
      ...Query.scope,
      ...Query.consistency,
      /** `true`: the instances through which the mesh reaches the service. */
      connect: Query.text,
      limit: Query.text,
      near: Query.text
    },
    success: indexed(go(PreparedQuery.Execution)),
    error: ApiError.common
  })
) {}
