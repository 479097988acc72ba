/** Policy for connections where each request is judged by itself: almost all of it is left to the requests. */
import type * as Authorizer from "../../intention/Authorizer.ts"
import * as Decision from "../../intention/Decision.ts"
import * as Watched from "../../watch/Watched.ts"
import type * as Connection from "../Connection.ts"

/** Where requests are judged, every service of the mesh may connect. */
export const intentions = (
  watched: Watched.Watched<Authorizer.Authorizer>
): Watched.Watched<Authorizer.Authorizer> =>
  Watched.map(
    watched,
    watched.what,
    (authorizer) => authorizer.http ? { ...authorizer, connection: () => judgedByRequest } : authorizer
  )

/** Where requests are judged, a connection may stay unless no request could be allowed. */
export const mayStay = (
  authorizer: Authorizer.Authorizer,
  { caller }: Pick<Connection.Connection, "caller">
): Decision.Decision => {
  const decision = authorizer.connection(caller)
  return authorizer.http && decision.because === "needs-http" ? judgedByRequest : decision
}

/** Whether a connection was let in because its requests are judged. */
export const isLeftToRequests = (decision: Decision.Decision): boolean => decision === judgedByRequest

const judgedByRequest = Decision.make(true, "needs-http", undefined, undefined, "each request is judged by itself")
