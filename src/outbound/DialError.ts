/** Why no connection into the mesh could be made. */
import { Schema } from "effect"
import * as Refusal from "../tls/Refusal.ts"

/** No target of the chain has a healthy instance. Passes when one has. */
export class NoHealthyInstance extends Schema.TaggedError<NoHealthyInstance>()("NoHealthyInstance", {
  /** How many instances are known, healthy or not. */
  known: Schema.Finite,
  /** What speaks against them, each reason once: `"Connect Sidecar Listening" is critical`. */
  unhealthy: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Unhealthy ones are not told to us: there may be some. */
  onlyHealthy: Schema.optionalKey(Schema.Boolean),
  /** Where it was to go first, as access logs name it. */
  cluster: Schema.optionalKey(Schema.String)
}) {
  override readonly message = this.known === 0
    ? this.onlyHealthy === true ? noneFound : noneKnown
    : `${this.known === 1 ? "its only instance is not healthy" : `none of its ${this.known} instances is healthy`}${
      reasons(this.unhealthy ?? [])
    }`
}

const noneKnown = "no instance with a sidecar or a native integration is registered under this name. Check the name, " +
  "that an instance has registered, and that the token may read it (service:read, node:read)"

const noneFound = "its query finds no healthy instance with a sidecar or a native integration. Check that one has " +
  "registered, that its checks pass (a new sidecar is critical until its first check, up to 10 seconds), and that the " +
  "token may read it (service:read, node:read)"

const reasons = (unhealthy: ReadonlyArray<string>): string => {
  const known = unhealthy.length === 0
    ? ""
    : `: ${unhealthy.slice(0, 3).join(", ")}${unhealthy.length > 3 ? `, and ${unhealthy.length - 3} reasons more` : ""}`
  const starting = unhealthy.some((reason) => reason.startsWith("\"Connect Sidecar Listening\""))
    ? "A new sidecar is critical until its first check, up to 10 seconds; later it means that nothing listens there"
    : "Look at the checks, at the agent under /v1/health/service"
  return `${known}. ${starting}`
}

/** TCP did not connect. `code` is Node's. */
export class ConnectFailed extends Schema.TaggedError<ConnectFailed>()("ConnectFailed", {
  address: Schema.String,
  code: Schema.String
}) {
  override readonly message = `${this.address} did not accept a connection: ${this.code}`
}

/** TLS failed, or the certificate of the other side was not acceptable. */
export class HandshakeFailed extends Schema.TaggedError<HandshakeFailed>()("HandshakeFailed", {
  address: Schema.String,
  /** As in the metric `mesh_refusals_total`. */
  reason: Schema.String,
  detail: Schema.String
}) {
  override readonly message = `${this.address}: ${this.detail}`
}

/** Another service answers at that address: mostly because the port was reused. */
export class UnexpectedIdentity extends Schema.TaggedError<UnexpectedIdentity>()("UnexpectedIdentity", {
  address: Schema.String,
  expected: Schema.String,
  presented: Schema.String
}) {
  override readonly message = `${this.address} is ${this.presented}, and ${this.expected} was expected`
}

/** The connection was not ready in time. */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", {
  what: Schema.String,
  millis: Schema.Finite,
  /** The last failure behind it, where one is known. */
  lastError: Schema.optionalKey(Schema.String)
}) {
  override readonly message = `${this.what} was not ready within ${this.millis} ms${
    this.lastError === undefined ? "" : `: ${this.lastError}`
  }`
}

/** The name leads nowhere: it has no meaning, or what it means does not exist. Passes when that is created. */
export class UnknownName extends Schema.TaggedError<UnknownName>()("UnknownName", {
  name: Schema.String,
  why: Schema.String
}) {
  override readonly message = `${JSON.stringify(this.name)} can not be called: ${this.why}`
}

/** The agent has not said in time where calls to a service go, or to whom. */
export const unheard = (what: string, millis: number, lastError: string | undefined): TimedOut =>
  new TimedOut({ what, millis, lastError: lastError ?? "the agent has not answered yet. Check that it is reachable" })

/** One attempt to reach `service` by all means that its discovery chain offers. */
export class DialError extends Schema.TaggedError<DialError>()("DialError", {
  service: Schema.String,
  /** How many instances were tried. */
  attempts: Schema.Finite,
  /** Of the last attempt. */
  reason: Schema.Union([NoHealthyInstance, ConnectFailed, HandshakeFailed, UnexpectedIdentity, TimedOut, UnknownName])
}) {
  override readonly message = `cannot reach ${this.service}${
    this.attempts > 1 ? ` (${this.attempts} instances tried)` : ""
  }: ${this.reason.message}`
}

export type Reason = DialError["reason"]

/** What became of a handshake. */
export const ofRefusal = (refusal: Refusal.Refusal, address: string): UnexpectedIdentity | HandshakeFailed =>
  refusal._tag === "UnexpectedIdentity"
    ? new UnexpectedIdentity({ address, expected: refusal.expected, presented: refusal.presented })
    : new HandshakeFailed({ address, reason: Refusal.reason(refusal), detail: Refusal.explain(refusal) })
