/** `/v1/acl/…`: as far as a reader needs it, to know who the servers take it for. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as ApiError from "./ApiError.ts"
import * as Go from "./GoJson.ts"
import * as Query from "./Query.ts"
import * as ResponseHeaders from "./ResponseHeaders.ts"

/** What a token says of itself. Its secret is left where it is. */
export const Token = Schema.Struct({
  AccessorID: Go.text,
  Policies: Go.list(Schema.Struct({ ID: Go.text, Name: Go.text }))
})
export interface Token extends Schema.Schema.Type<typeof Token> {}

export class AclApi extends HttpApiGroup.make("acl").add(
  /** 401 where ACLs are off, 403 for an unknown token, and for none. */
  HttpApiEndpoint.get("tokenSelf", "/v1/acl/token/self", {
    query: { ...Query.scope, ...Query.consistency },
    success: HttpApiSchema.WithHeaders(Schema.toCodecGoJson(Token), ResponseHeaders.indexed),
    error: ApiError.common
  })
) {}
