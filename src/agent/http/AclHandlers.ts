/** `/v1/acl/…`: there are no ACLs. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as ApiError from "../../consul/ApiError.ts"
import { ConsulApi } from "../../consul/ConsulApi.ts"

export const layer = HttpApiBuilder.group(
  ConsulApi,
  "acl",
  (handlers) =>
    handlers.handle("tokenSelf", () => Effect.fail(new ApiError.Unauthorized({ body: "ACL support disabled" })))
)
