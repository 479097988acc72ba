/**
 * Why a request to a Consul agent failed, by what a caller would do about it. Bodies are shortened, and tokens never
 * appear: they travel in a header that no error keeps.
 */
import { Duration, Schema } from "effect"

/** Nothing listens there, the name does not resolve, TLS failed, or the connection broke. Passes when that is mended. */
export class Unreachable extends Schema.TaggedClass<Unreachable>()("Unreachable", {
  why: Schema.String,
  /** What to do about it. Absent: to look after the agent and its address. */
  remedy: Schema.optionalKey(Schema.String)
}) {}

/** The agent took the request and did not answer in time. */
export class TimedOut extends Schema.TaggedClass<TimedOut>()("TimedOut", { waited: Schema.String }) {}

/**
 * 401 or 403. Does not pass by itself, but a token can be given more rights at any time. That a token is not known passes
 * where the agent is starting, or has no leader.
 */
export class PermissionDenied extends Schema.TaggedClass<PermissionDenied>()("PermissionDenied", {
  body: Schema.String
}) {}

/** An answer from which ACLs have left something out. Passes when the token is given the right. */
export class Filtered extends Schema.TaggedClass<Filtered>()("Filtered", { right: Schema.String }) {}

/** 404: the object or the endpoint does not exist. */
export class NotFound extends Schema.TaggedClass<NotFound>()("NotFound", { body: Schema.String }) {}

/** 400, 405 and the like: this request will never succeed. */
export class InvalidRequest extends Schema.TaggedClass<InvalidRequest>()("InvalidRequest", {
  status: Schema.Int,
  body: Schema.String
}) {}

/** 429: the agent limits rates or connections. */
export class RateLimited extends Schema.TaggedClass<RateLimited>()("RateLimited", { body: Schema.String }) {}

/** 5xx. Mostly passes; but Consul answers some mistakes of the caller with 500 as well, so read the body. */
export class ServerError extends Schema.TaggedClass<ServerError>()("ServerError", {
  status: Schema.Int,
  body: Schema.String
}) {}

/** An answer that is not what Consul answers: not JSON, too large, or of another shape. */
export class Undecodable extends Schema.TaggedClass<Undecodable>()("Undecodable", { why: Schema.String }) {}

export const Reason = Schema.Union([
  Unreachable,
  TimedOut,
  PermissionDenied,
  Filtered,
  NotFound,
  InvalidRequest,
  RateLimited,
  ServerError,
  Undecodable
])
export type Reason = typeof Reason.Type

/** A request to Consul failed. `request` says what was asked of which agent. */
export class ConsulError extends Schema.TaggedError<ConsulError>()("ConsulError", {
  request: Schema.String,
  reason: Reason
}) {
  override readonly message = `${this.request}: ${explain(this.reason)}`
  /** Operators read it: where in this package it was made would say nothing to them. */
  override readonly stack = `ConsulError: ${this.message}`

  /** Whether the same request may succeed later without anybody changing it. */
  get isRetryable(): boolean {
    return retryable[this.reason._tag] || isUnknownToken(this.reason)
  }
}

export const timedOut = (request: string, waited: Duration.Duration): ConsulError =>
  new ConsulError({ request, reason: new TimedOut({ waited: Duration.format(waited) }) })

export const undecodable = (request: string, why: string): ConsulError =>
  new ConsulError({ request, reason: new Undecodable({ why }) })

export const filtered = (request: string, right: string): ConsulError =>
  new ConsulError({ request, reason: new Filtered({ right }) })

/** The token is known, and lacks the right. One that is not known may only be not known yet, where the agent starts. */
export const isRefused = ({ reason }: ConsulError): boolean =>
  reason._tag === "PermissionDenied" && !reason.body.includes("ACL not found")

/** By the status of an answer that is not a success. */
export const fromStatus = (request: string, status: number, text: string): ConsulError => {
  const body = text.trim().slice(0, 512)
  return new ConsulError({ request, reason: reasonOf(status, body) })
}

const reasonOf = (status: number, body: string): Reason => {
  if (status === 401 || status === 403) return new PermissionDenied({ body })
  if (status === 404) return new NotFound({ body })
  if (status === 429) return new RateLimited({ body })
  return status >= 500 ? new ServerError({ status, body }) : new InvalidRequest({ status, body })
}

const retryable: Record<Reason["_tag"], boolean> = {
  Unreachable: true,
  TimedOut: true,
  PermissionDenied: false,
  Filtered: false,
  NotFound: false,
  InvalidRequest: false,
  RateLimited: true,
  ServerError: true,
  Undecodable: true
}

const isUnknownToken = (reason: Reason): boolean =>
  reason._tag === "PermissionDenied" && reason.body.includes("ACL not found")

/** Without what was asked. */
export const explain = (reason: Reason): string => {
  switch (reason._tag) {
    case "Unreachable":
      return `the agent cannot be reached (${reason.why}). ${
        reason.remedy ?? "Check that it runs and that CONSUL_HTTP_ADDR names it"
      }`
    case "TimedOut":
      return `no answer within ${reason.waited}. Check the agent's health and the network between`
    case "PermissionDenied":
      return isUnknownToken(reason)
        ? "the agent does not know the token (ACL not found). While it starts or has no leader it may say so of any token, " +
          "and that passes; otherwise it was deleted, or has expired. Set a valid one, such as in CONSUL_HTTP_TOKEN"
        : `permission denied (${reason.body}). Check the token in CONSUL_HTTP_TOKEN and its policies`
    case "Filtered":
      return `the agent left out what the token may not read. Give it ${reason.right}`
    case "NotFound":
      return `not found (${reason.body || "no such object or endpoint"})`
    case "InvalidRequest":
      return reason.body.includes("HTTP request to an HTTPS server")
        ? "the agent speaks HTTPS there, and was asked over HTTP. Write https:// in its address"
        : `the agent refused the request with status ${reason.status} (${reason.body})`
    case "RateLimited":
      return `the agent is limiting requests (${reason.body}). Fewer will go through again in a while`
    case "ServerError":
      return `the agent answered with status ${reason.status} (${reason.body})`
    case "Undecodable":
      return `the answer is not one of a Consul agent (${reason.why}). Check that CONSUL_HTTP_ADDR names an agent's HTTP port`
  }
}
