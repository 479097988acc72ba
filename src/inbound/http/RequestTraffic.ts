/** Counts requests: those at hand, the answers by code, and those that the server ended. */
import { Effect, type Scope } from "effect"
import type * as HttpExchange from "../../http/HttpExchange.ts"
import * as HttpMetrics from "../../observe/HttpMetrics.ts"
import type * as Meter from "../../observe/Meter.ts"
import type * as AdmissionLog from "../AdmissionLog.ts"
import type * as Connection from "../Connection.ts"
import type * as AdmittedExchange from "./AdmittedExchange.ts"

export interface Totals extends ReturnType<HttpMetrics.HttpMetrics["totals"]> {
  /** Requests at hand. */
  readonly handling: number
}

/** A request that is over. */
export interface Closed extends Pick<AdmittedExchange.Exchange, "code" | "connection" | "since"> {
  /** Undefined: the connection speaks something else by now. */
  readonly answer: object | undefined
  /** The span in which it is found, if any. */
  readonly trace?: () => Meter.Trace | undefined
}

export interface RequestTraffic {
  readonly started: () => void
  readonly closed: (exchange: Closed) => void
  /** A later verdict ended a request. */
  readonly denied: () => void
  /** The server ended a connection because of what its peer did. */
  readonly abused: (connection: Connection.Connection, abuse: HttpExchange.Abuse) => void
  readonly totals: () => Totals
}

export const make = Effect.fnUntraced(function*(
  { fault, service }: Pick<AdmissionLog.AdmissionLog, "fault" | "service">
): Effect.fn.Return<RequestTraffic, never, Scope.Scope> {
  let handling = 0
  const metrics = yield* HttpMetrics.make("inbound", () => handling)
  return {
    started: () => {
      handling++
    },
    closed: ({ answer, code, connection, since, trace }) => {
      handling--
      // The time that an upgraded connection was used for is not that of a request.
      metrics.answered(connection.caller.service, service(), code, answer === undefined ? undefined : since, trace)
    },
    denied: () => metrics.aborted("denied"),
    abused: (connection, abuse) => {
      metrics.aborted(abuse)
      fault(connection, "ended a connection", abuse, abuse)
    },
    totals: () => ({ handling, ...metrics.totals() })
  }
})
