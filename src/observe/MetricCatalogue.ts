/**
 * Every metric of this package. Names, types and attributes are stable: dashboards are built on them. `docs/metrics.md` has
 * the same list with the meaning of each. A test compares the two.
 *
 * No attribute is ever taken from what an unauthenticated peer sends, nor from paths, methods or headers: names of services
 * come from certificates, from the control plane, or from the program itself, and `Meter` bounds how many there are.
 */

/** Which side of a connection is ours: the one that accepted it, or the one that dialled. */
export type Direction = "inbound" | "outbound"

/** The names of the attributes of one metric. */
export type Attributes<A extends string> = Readonly<Record<A, string>>

/** Attributes with a fixed, small set of values. */
export const closed: ReadonlySet<string> = new Set(["direction", "flow", "outcome", "purpose", "reason", "watch"])

interface Family<A extends string> {
  readonly name: string
  readonly help: string
  readonly attributes: ReadonlyArray<A>
}

/** Only goes up. */
export interface Counter<A extends string = string> extends Family<A> {
  readonly type: "counter"
}

export interface Gauge<A extends string = string> extends Family<A> {
  readonly type: "gauge"
  /** How several series of one process about the same thing are combined. */
  readonly combine: (values: ReadonlyArray<number>) => number
}

/** Of seconds. */
export interface Histogram<A extends string = string> extends Family<A> {
  readonly type: "histogram"
  readonly boundaries: ReadonlyArray<number>
}

const counter = <const A extends string>(name: string, attributes: ReadonlyArray<A>, help: string): Counter<A> => ({
  type: "counter",
  name,
  attributes,
  help
})

const gauge = <const A extends string>(
  name: string,
  attributes: ReadonlyArray<A>,
  combine: Gauge["combine"],
  help: string
): Gauge<A> => ({ type: "gauge", name, attributes, combine, help })

const histogram = <const A extends string>(
  name: string,
  attributes: ReadonlyArray<A>,
  help: string
): Histogram<A> => ({ type: "histogram", name, attributes, boundaries, help })

/** Seconds: from a handshake or a request on one machine to more than people wait for. */
const boundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

const sum = (values: ReadonlyArray<number>): number => values.reduce((total, value) => total + value, 0)
const least = (values: ReadonlyArray<number>): number => Math.min(...values)
const most = (values: ReadonlyArray<number>): number => Math.max(...values)

export const connections = counter(
  "mesh_connections_total",
  ["direction"],
  "Connections with a verified peer"
)
export const connectionsOpen = gauge(
  "mesh_connections_open",
  ["direction"],
  sum,
  "Connections with a verified peer that are open now"
)
export const tunnelsOpen = gauge(
  "mesh_tunnels_open",
  ["direction"],
  sum,
  "TLS connections that carry many connections of the mesh"
)
export const connectionsCut = counter(
  "mesh_connections_cut_total",
  ["direction"],
  "Open connections ended because they were no longer allowed"
)
export const connectionsRetired = counter(
  "mesh_connections_retired_total",
  ["direction", "reason"],
  "Open connections ended because they had lasted, or been unused, for long enough"
)
export const connectionsFailed = counter(
  "mesh_connections_failed_total",
  ["direction"],
  "Connections ended because what they were for could not be reached, or failed"
)
export const connectionsUnanswered = counter(
  "mesh_connections_unanswered_total",
  ["destination"],
  "Connections that the other side cut before its first byte: it refused them, mostly"
)
export const bytes = counter(
  "mesh_bytes_total",
  ["direction", "flow"],
  "Application bytes carried by mesh connections"
)
export const handshakes = counter(
  "mesh_handshakes_total",
  ["direction", "outcome"],
  "TLS handshakes with what follows from them: accepted or refused"
)
export const handshakeDuration = histogram(
  "mesh_handshake_duration_seconds",
  ["direction"],
  "From the TCP connection to a peer that is verified and let in"
)
export const refusals = counter(
  "mesh_refusals_total",
  ["direction", "reason"],
  "Peers turned away"
)
export const dials = counter(
  "mesh_dials_total",
  ["destination", "outcome"],
  "Attempts to connect to an instance"
)
export const requests = counter(
  "mesh_http_requests_total",
  ["direction", "source", "destination", "code"],
  "HTTP requests that are over, each attempt by itself"
)
export const requestDuration = histogram(
  "mesh_http_request_duration_seconds",
  ["direction", "source", "destination"],
  "From the head of a request to the end of its answer"
)
export const requestsActive = gauge(
  "mesh_http_requests_active",
  ["direction"],
  sum,
  "HTTP requests without a whole answer, now"
)
export const requestRefusals = counter(
  "mesh_http_refusals_total",
  ["source", "destination", "reason"],
  "HTTP requests that were answered without asking the application"
)
export const aborted = counter(
  "mesh_http_aborted_total",
  ["direction", "reason"],
  "HTTP connections and requests ended before their time"
)
export const routedRequests = counter(
  "mesh_http_routed_total",
  ["destination", "route", "target", "code"],
  "Requests that a sidecar sent on, by the route that took them and the target that they went to"
)
export const retries = counter(
  "mesh_http_retries_total",
  ["destination"],
  "HTTP requests tried once more"
)
export const retriesRefused = counter(
  "mesh_http_retries_refused_total",
  ["destination"],
  "HTTP requests that were not tried once more because too many were"
)
export const ejections = counter(
  "mesh_ejections_total",
  ["destination"],
  "Instances left out for a while because requests or connections to them failed"
)
export const leafExpiry = gauge(
  "mesh_leaf_expiry_timestamp_seconds",
  ["service"],
  least,
  "When the leaf certificate in force ends, in Unix time"
)
export const rootExpiry = gauge(
  "mesh_root_expiry_timestamp_seconds",
  ["service"],
  least,
  "When the active CA root ends, in Unix time"
)
export const watchAnswered = gauge(
  "mesh_watch_answered_timestamp_seconds",
  ["watch", "subject"],
  least,
  "When the control plane last answered, in Unix time; 0 before it has"
)
export const watchStaleness = gauge(
  "mesh_watch_staleness_seconds",
  ["watch", "subject"],
  most,
  "0 while the last attempt was answered, otherwise the time since the last answer"
)
export const watchFailures = counter(
  "mesh_watch_failures_total",
  ["watch", "subject"],
  "Attempts to hear from the control plane that failed"
)
export const agentWaits = histogram(
  "mesh_agent_wait_seconds",
  ["purpose"],
  "What requests to the agent that found no free connection waited for one"
)
export const agentWaiting = gauge(
  "mesh_agent_requests_waiting",
  ["purpose"],
  sum,
  "Requests to the agent that wait for a connection, now"
)
export const registrationPassing = gauge(
  "mesh_registration_passing",
  ["service", "instance"],
  least,
  "1 while the agent knows of the instance and the instance is well, 0 otherwise"
)
export const registrationFailures = counter(
  "mesh_registration_failures_total",
  ["service", "instance"],
  "Attempts to tell the agent how the instance is, or to find it there, that failed"
)
export const sidecarRunning = gauge(
  "mesh_sidecar_running",
  ["service", "proxy"],
  least,
  "1 while the sidecar accepts, 0 while it starts, waits to be started again, or stops"
)
export const sidecarRestarts = counter(
  "mesh_sidecar_restarts_total",
  ["service", "proxy"],
  "Sidecars started again because they could not start, or have failed"
)
export const workerRunning = gauge(
  "mesh_worker_running",
  ["worker"],
  least,
  "1 while the worker takes connections, 0 while it starts or waits to be started again, or once it has left"
)
export const workerRestarts = counter(
  "mesh_worker_restarts_total",
  ["worker"],
  "Workers started again because they ended"
)

export const gatewayConnections = counter(
  "mesh_gateway_connections_total",
  ["destination", "datacenter"],
  "Connections that a mesh gateway has passed on"
)
export const gatewayRefusals = counter(
  "mesh_gateway_refusals_total",
  ["reason"],
  "Connections that a gateway has turned away because of what they asked for"
)

/** In the order of the documentation. */
export const all: ReadonlyArray<Counter | Gauge | Histogram> = [
  handshakes,
  handshakeDuration,
  refusals,
  dials,
  connections,
  connectionsOpen,
  tunnelsOpen,
  connectionsCut,
  connectionsRetired,
  connectionsFailed,
  connectionsUnanswered,
  bytes,
  requests,
  requestDuration,
  requestsActive,
  requestRefusals,
  aborted,
  routedRequests,
  retries,
  retriesRefused,
  ejections,
  leafExpiry,
  rootExpiry,
  watchStaleness,
  watchAnswered,
  watchFailures,
  agentWaits,
  agentWaiting,
  registrationPassing,
  registrationFailures,
  sidecarRunning,
  sidecarRestarts,
  workerRunning,
  workerRestarts,
  gatewayConnections,
  gatewayRefusals
]
