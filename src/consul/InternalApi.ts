/** `/v1/internal/…`: not promised by Consul, and there since 1.8. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as ApiError from "./ApiError.ts"
import * as Health from "./Health.ts"
import * as Query from "./Query.ts"
import * as ResponseHeaders from "./ResponseHeaders.ts"

export class InternalApi extends HttpApiGroup.make("internal").add(
  /** Those of every datacenter, by datacenter, as far as the agent's own knows them: also of one that is out of reach now. */
  HttpApiEndpoint.get("meshGateways", "/v1/internal/federation-states/mesh-gateways", {
    query: { ...Query.scope, ...Query.consistency, ...Query.blocking },
    success: HttpApiSchema.WithHeaders(
      Schema.toCodecGoJson(Schema.Record(Schema.String, Schema.Array(Health.ServiceEntry))),
      ResponseHeaders.indexed
    ),
    error: ApiError.common
  })
) {}
