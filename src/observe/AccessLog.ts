/** The format of access logs, as proxy-defaults says it: a text, or JSON whose strings are texts with operators. */
import { Result, type Schema } from "effect"
import * as Substitution from "./Substitution.ts"

/** A line, with its end. */
export type Format = (facts: Substitution.Facts) => string

/** A line ends with a line feed, whether or not the format says so. Fails with what is wrong with it. */
export const text = (format: string): Result.Result<Format, string> =>
  Result.map(
    Substitution.compile(format.endsWith("\n") ? format : `${format}\n`),
    (line) => (facts) => line.text(facts, "-")
  )

type Part = (facts: Substitution.Facts) => Schema.Json

/** What does not apply is null; numbers stay numbers. */
export const json = (format: Schema.JsonObject): Result.Result<Format, string> =>
  Result.map(partOf(format), (part) => (facts) => `${JSON.stringify(part(facts))}\n`)

const partOf = (format: Schema.Json): Result.Result<Part, string> => {
  if (typeof format === "string") {
    return Result.map(Substitution.compile(format), ({ value }) => (facts) => value(facts) ?? null)
  }
  if (Array.isArray(format)) {
    return Result.map(Result.all(format.map(partOf)), (parts) => (facts) => parts.map((part) => part(facts)))
  }
  if (typeof format !== "object" || format === null) return Result.succeed(() => format)
  return Result.map(
    Result.all(
      Object.entries(format).map(([key, value]) => Result.map(partOf(value), (part) => [key, part] as const))
    ),
    (parts) => (facts) => Object.fromEntries(parts.map(([key, part]) => [key, part(facts)]))
  )
}

/** Of Consul's sidecars, where nothing else is said. */
export const standard: Schema.JsonObject = {
  start_time: "%START_TIME%",
  route_name: "%ROUTE_NAME%",
  method: "%REQ(:METHOD)%",
  path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
  protocol: "%PROTOCOL%",
  response_code: "%RESPONSE_CODE%",
  response_flags: "%RESPONSE_FLAGS%",
  response_code_details: "%RESPONSE_CODE_DETAILS%",
  connection_termination_details: "%CONNECTION_TERMINATION_DETAILS%",
  bytes_received: "%BYTES_RECEIVED%",
  bytes_sent: "%BYTES_SENT%",
  duration: "%DURATION%",
  upstream_service_time: "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
  x_forwarded_for: "%REQ(X-FORWARDED-FOR)%",
  user_agent: "%REQ(USER-AGENT)%",
  request_id: "%REQ(X-REQUEST-ID)%",
  authority: "%REQ(:AUTHORITY)%",
  upstream_host: "%UPSTREAM_HOST%",
  upstream_cluster: "%UPSTREAM_CLUSTER%",
  upstream_local_address: "%UPSTREAM_LOCAL_ADDRESS%",
  downstream_local_address: "%DOWNSTREAM_LOCAL_ADDRESS%",
  downstream_remote_address: "%DOWNSTREAM_REMOTE_ADDRESS%",
  requested_server_name: "%REQUESTED_SERVER_NAME%",
  upstream_transport_failure_reason: "%UPSTREAM_TRANSPORT_FAILURE_REASON%"
}
