/** `/v1/development/…`: what no Consul has, for tests of what happens when datacenters lose each other. */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as ApiError from "../../consul/ApiError.ts"

/** Between two datacenters, or a datacenter and a peer. */
export const Line = Schema.Struct({
  Between: Schema.Tuple([Schema.String, Schema.String]),
  Cut: Schema.Boolean,
  /** One way, in milliseconds. */
  DelayMs: Schema.Finite
})

export class DevelopmentApi extends HttpApi.make("development").add(
  HttpApiGroup.make("lines").add(
    /** Those that are cut or slow. */
    HttpApiEndpoint.get("list", "/v1/development/lines", { success: Schema.Array(Line), error: ApiError.common }),
    /** What is left out stays as it is. */
    HttpApiEndpoint.put("set", "/v1/development/lines/:from/:to", {
      params: { from: Schema.String, to: Schema.String },
      query: { cut: Schema.optionalKey(Schema.String), delay: Schema.optionalKey(Schema.String) },
      success: HttpApiSchema.Empty(200),
      error: ApiError.common
    })
  )
) {}
