/** Answers from which the servers have left out what the token may not read: half a policy is not to be enforced. */
import { Effect } from "effect"
import * as ConsulError from "./ConsulError.ts"

/** The body, or a failure that names the right which is missing. */
export const answer = <A>(
  request: string,
  right: string,
  { body, headers }: { readonly body: A; readonly headers: { readonly "x-consul-results-filtered-by-acls"?: boolean } }
): Effect.Effect<A, ConsulError.ConsulError> =>
  headers["x-consul-results-filtered-by-acls"] === true
    ? Effect.fail(ConsulError.filtered(request, right))
    : Effect.succeed(body)
