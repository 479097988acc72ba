/** Why a request into the mesh has no answer, and which instance it was about. */
import { Schema } from "effect"
import * as DialError from "../DialError.ts"

/** The connection ended before the answer was whole. `code` is Node's or undici's. */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>()("ConnectionLost", {
  code: Schema.String
}) {
  override readonly message = this.code === "UND_ERR_DESTROYED"
    ? "our own side of the mesh has been closed"
    : `the connection ended before the answer (${this.code}). ` +
      "The instance may have gone, or its intentions may not allow this caller"
}

/** Our own side of the mesh has been closed. */
export const closed = new ConnectionLost({ code: "UND_ERR_DESTROYED" })

/** A time has passed that the route of the request has, or the program. */
export class RouteTimedOut extends Schema.TaggedError<RouteTimedOut>()("RouteTimedOut", {
  /** For the whole answer, or without a byte in either direction. */
  limit: Schema.Literals(["request", "idle"]),
  millis: Schema.Finite,
  saidBy: Schema.String
}) {
  override readonly message = this.limit === "request"
    ? `there was no whole answer within ${this.millis} ms, which is ${this.saidBy}. Attempts count together. Raise it there, or ` +
      "override requestTimeoutMillis for this call"
    : `nothing was heard for ${this.millis} ms, which is ${this.saidBy}. Raise it there, or override idleTimeoutMillis for this call`
}

/** The other side's mesh has answered in place of the application: policy does not let us make this request. */
export class Denied extends Schema.TaggedError<Denied>()("Denied", {
  status: Schema.Int,
  /** As the other side tells it, which by default is no more than that it was its policy. */
  why: Schema.String
}) {
  override readonly message =
    `the mesh of the other side refused it with ${this.status} (${this.why}): no application has seen ` +
    "it. Check the intentions for this service; its log names the one that decided"
}

/** The `cause` of the `HttpClientError`s of `MeshHttpClient`. */
export class RequestFailed extends Schema.TaggedError<RequestFailed>()("RequestFailed", {
  service: Schema.String,
  /** Node and service id of the instance that was tried last. Absent: none was. */
  instance: Schema.optionalKey(Schema.String),
  address: Schema.optionalKey(Schema.String),
  /** Whether the instance, or one that was tried before, may have carried it out. */
  sent: Schema.Boolean,
  /** How many there were, where its route says how often a request is tried. */
  attempts: Schema.optionalKey(Schema.Int),
  reason: Schema.Union([...DialError.DialError.fields.reason.members, ConnectionLost, RouteTimedOut, Denied])
}) {
  override readonly message = `the request to ${this.service}${
    this.instance === undefined ? "" : ` (instance ${this.instance} at ${this.address})`
  } failed${(this.attempts ?? 1) > 1 ? ` after ${this.attempts} attempts` : ""}: ${this.reason.message}`
}

export type Reason = RequestFailed["reason"]

/** For the message of an error that it is the cause of. Other causes may quote what was sent: they stay out of logs. */
export const described = (cause: unknown): { readonly description?: string } =>
  cause instanceof RequestFailed ? { description: cause.message } : {}
