/** What there is to say about a request that was relayed: for access logs, and for header values with operators. */
import type * as Exchange from "../../http/relay/Exchange.ts"
import type * as Relay from "../../http/relay/Relay.ts"
import type * as HttpRequest from "../../intention/HttpRequest.ts"
import type * as Substitution from "../../observe/Substitution.ts"

export interface About {
  readonly server: Exchange.ServerExchange
  readonly view: HttpRequest.HttpRequest
  /** Milliseconds since 1970. */
  readonly startTime: number
  /** Envoy's name of where it goes: `local_app`, or the SNI of the target. */
  readonly cluster: string | undefined
  /** SPIFFE ids of both sides; undefined: the client is no mesh. */
  readonly peer?: string | undefined
  readonly identity?: string | undefined
}

/** `report`: once it is over. `answer`: the fields of the answer as the client gets them. */
export const of = (
  { cluster, identity, peer, server, startTime, view }: About,
  report: Relay.Report | undefined,
  answer: ((name: string) => string | undefined) | undefined
): Substitution.Facts => ({
  startTime,
  operator: (name) => {
    switch (name) {
      case "PROTOCOL":
        return server.version === "2" ? "HTTP/2" : "HTTP/1.1"
      case "DOWNSTREAM_LOCAL_ADDRESS":
        return server.local
      case "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT":
        return withoutPort(server.local)
      case "DOWNSTREAM_LOCAL_PORT":
        return Number(server.local.slice(server.local.lastIndexOf(":") + 1))
      case "DOWNSTREAM_REMOTE_ADDRESS":
      case "DOWNSTREAM_DIRECT_REMOTE_ADDRESS":
        return server.remote
      case "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":
      case "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT":
        return withoutPort(server.remote)
      case "DOWNSTREAM_PEER_URI_SAN":
        return peer
      case "DOWNSTREAM_LOCAL_URI_SAN":
        return identity
      case "UPSTREAM_CLUSTER":
        return cluster
      default:
        return report === undefined ? undefined : ofReport(name, report)
    }
  },
  request: (name) => {
    switch (name) {
      case ":method":
        return view.method
      case ":path":
        return view.path
      case ":authority":
        return view.header("host")
      case ":scheme":
        return "http"
      default:
        return view.header(name)
    }
  },
  response: (name) => answer?.(name),
  trailer: (name) => {
    const trailers = report?.trailers
    const index = trailers?.indexOf(name) ?? -1
    return trailers === undefined || index < 0 ? undefined : trailers.value(index)
  }
})

const ofReport = (name: Substitution.Operator, report: Relay.Report): string | number | undefined => {
  switch (name) {
    case "RESPONSE_CODE":
      return report.status
    case "RESPONSE_FLAGS":
      return flagsOf(report)
    case "RESPONSE_CODE_DETAILS":
      return detailsOf(report)
    case "BYTES_RECEIVED":
      return report.received
    case "BYTES_SENT":
      return report.sent
    case "DURATION":
      return Math.floor(performance.now() - report.since)
    case "UPSTREAM_HOST":
    case "UPSTREAM_REMOTE_ADDRESS":
      return report.upstream?.remote
    case "UPSTREAM_LOCAL_ADDRESS":
      return report.upstream?.local
    case "UPSTREAM_REQUEST_ATTEMPT_COUNT":
      return report.attempts
    default:
      return undefined
  }
}

const flagsOf = ({ end, own }: Relay.Report): string => {
  switch (end) {
    case "answered":
      return own?.flags ?? "-"
    case "gone":
      return "DC"
    case "timed_out":
      return "UT"
    case "cut":
      return "UC"
    case "denied":
      return "-"
  }
}

const detailsOf = ({ end, own }: Relay.Report): string => {
  switch (end) {
    case "answered":
      return own?.details ?? "via_upstream"
    case "gone":
      return "downstream_remote_disconnect"
    case "timed_out":
      return "response_timeout"
    case "cut":
      return "upstream_reset_after_response_started{connection_termination}"
    case "denied":
      return "rbac_access_denied"
  }
}

export const withoutPort = (address: string): string => address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1")
