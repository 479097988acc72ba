/** Whether the servers have left out of an answer what the token may not read: half a policy must not be enforced. */
import { Effect } from "effect"
import * as ConsulError from "./ConsulError.ts"

interface Headers {
  readonly "x-consul-results-filtered-by-acls"?: boolean
}

/** Whether the servers say that they have left something out. */
export const isFiltered = (headers: Headers): boolean => headers["x-consul-results-filtered-by-acls"] === true

/** The body, or a failure that names the right which is missing. */
export const body = <A>(
  request: string,
  right: string,
  answer: { readonly body: A; readonly headers: Headers }
): Effect.Effect<A, ConsulError.ConsulError> =>
  isFiltered(answer.headers)
    ? Effect.fail(ConsulError.filtered(request, right))
    : Effect.succeed(answer.body)
