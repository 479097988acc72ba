/**
 * Whether an attempt at a request is followed by another one, and when. The conditions are Envoy's, by their names in a
 * service-router. Whether the request can be sent again at all is for others to know: its body, and what has gone out of the answer.
 */

/** Further attempts at a request, as a route says it. */
export interface Retry {
  /** At most, besides the first one. */
  readonly times: number
  /** `5xx`, `connect-failure`, …; at least one, or there is a status. */
  readonly on: ReadonlySet<string>
  readonly onStatus: ReadonlySet<number>
}

/** How an attempt ended. */
export type Outcome =
  | {
    readonly _tag: "Answered"
    readonly status: number
    /** Of the headers: what comes in trailers is too late. */
    readonly grpcStatus?: number | undefined
    /** Whether the answer has `x-envoy-ratelimited`. */
    readonly rateLimited?: boolean | undefined
  }
  /** No instance was reached. */
  | { readonly _tag: "NotConnected" }
  /** The instance says that it has not looked at the request (HTTP/2, REFUSED_STREAM). */
  | { readonly _tag: "Refused" }
  /** The connection ended before an answer began. */
  | { readonly _tag: "Reset" }
  /** The time for one attempt, or for the whole request, is over. */
  | { readonly _tag: "TimedOut" }
  /** A bound of ours was reached: there is no place for another attempt either. */
  | { readonly _tag: "Overflowed" }

/** By the conditions alone: whether there are attempts left is not looked at. */
export const applies = ({ on, onStatus }: Retry, outcome: Outcome): boolean => {
  switch (outcome._tag) {
    case "Answered":
      return onAnswer(on, outcome) || onStatus.has(outcome.status)
    case "NotConnected":
      return onAnyReset(on) || on.has("connect-failure")
    case "Refused":
      return onAnyReset(on) || on.has("refused-stream")
    case "Reset":
      return onAnyReset(on)
    case "TimedOut":
    case "Overflowed":
      return false
  }
}

const onAnyReset = (on: Retry["on"]): boolean => on.has("reset") || on.has("5xx") || on.has("gateway-error")

const onAnswer = (
  on: Retry["on"],
  { grpcStatus, rateLimited = false, status }: Extract<Outcome, { readonly _tag: "Answered" }>
): boolean => {
  if (rateLimited) return on.has("envoy-ratelimited")
  const grpc = grpcStatus === undefined ? undefined : grpcConditions[grpcStatus]
  return (status >= 500 && on.has("5xx")) ||
    (status >= 502 && status <= 504 && on.has("gateway-error")) ||
    (status === 409 && on.has("retriable-4xx")) ||
    (grpc !== undefined && on.has(grpc))
}

const grpcConditions: Readonly<Record<number, string>> = {
  1: "cancelled",
  4: "deadline-exceeded",
  8: "resource-exhausted",
  13: "internal",
  14: "unavailable"
}

/** Before the attempt `attempt`, 1 for the first one after the request itself. `random` is from 0 up to but not including 1. */
export const delayMillis = (attempt: number, random: number): number =>
  Math.floor(random * Math.min(mostMillis, baseMillis * (2 ** attempt - 1)))

const baseMillis = 25
const mostMillis = 250
