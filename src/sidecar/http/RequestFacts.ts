/** What there is to say about a request that was relayed: for access logs, and for header values with operators. */
import * as Net from "node:net"
import * as Tls from "node:tls"
import type * as Exchange from "../../http/relay/Exchange.ts"
import type * as OwnAnswer from "../../http/relay/OwnAnswer.ts"
import * as OwnAnswers from "../../http/relay/OwnAnswers.ts"
import type * as Relay from "../../http/relay/Relay.ts"
import type * as HttpRequest from "../../intention/HttpRequest.ts"
import * as Listening from "../../net/Listening.ts"
import type * as Substitution from "../../observe/Substitution.ts"
import * as Downstream from "../log/Downstream.ts"

export interface About {
  readonly server: Pick<Exchange.ServerExchange, "local" | "remote" | "version">
  /** As it is sent on. */
  readonly view: HttpRequest.HttpRequest
  /** Milliseconds since 1970. */
  readonly startTime: number
  /** Envoy's name of where it goes: `local_app`, or the SNI of the target. */
  readonly cluster: string | undefined
  /** Why the proxy has answered itself, where it knows better than the answer. */
  readonly details?: string | undefined
  /** SPIFFE ids of both sides; undefined: the client is no mesh. */
  readonly peer?: string | undefined
  readonly identity?: string | undefined
  /** What carries it, where that is TLS. */
  readonly carrier?: unknown
}

/** `report`: once it is over. `answer`: the fields of the answer as the client gets them. */
export const of = (
  { carrier, cluster, details, identity, peer, server, startTime, view }: About,
  report: Relay.Report | undefined,
  answer: ((name: string) => string | undefined) | undefined
): Substitution.Facts => {
  const downstream = {
    local: server.local,
    direct: server.remote,
    remote: forwardedFor(view) ?? server.remote,
    peer,
    identity
  }
  return {
    startTime,
    operator: (name) => {
      switch (name) {
        case "PROTOCOL":
          return server.version === "2" ? "HTTP/2" : "HTTP/1.1"
        case "UPSTREAM_CLUSTER":
          return cluster
        case "RESPONSE_CODE_DETAILS":
          return report === undefined ? undefined : details ?? detailsOf(report)
        default:
          return Downstream.valueOf(downstream, name) ?? ofTls(name, carrier) ??
            (report === undefined ? undefined : ofReport(name, report))
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
    response: (name) => name === ":status" ? statusOf(report) : answer?.(name),
    trailer: (name) => {
      const trailers = report?.trailers
      const index = trailers?.indexOf(name) ?? -1
      return trailers === undefined || index < 0 ? undefined : trailers.value(index)
    }
  }
}

const statusOf = (report: Relay.Report | undefined): string | undefined =>
  report === undefined || report.status === 0 ? undefined : String(report.status)

/** Where the client is, by the word of the last proxy before this one. */
const forwardedFor = (view: HttpRequest.HttpRequest): string | undefined => {
  const addresses = view.header("x-forwarded-for")
  if (addresses === undefined) return undefined
  const last = addresses.slice(addresses.lastIndexOf(",") + 1).trim()
  return Net.isIP(last) === 0 ? undefined : Listening.format({ host: last, port: 0 })
}

const ofReport = (name: Substitution.Operator, report: Relay.Report): string | number | undefined => {
  switch (name) {
    case "RESPONSE_CODE":
      return report.status
    case "RESPONSE_FLAGS":
      return flagsOf(report)
    case "BYTES_RECEIVED":
      return report.received
    case "BYTES_SENT":
      return report.sent
    case "DURATION":
      return Math.floor(performance.now() - report.since)
    case "UPSTREAM_HOST":
      return report.upstream?.remote
    case "UPSTREAM_REQUEST_ATTEMPT_COUNT":
      // An attempt that found nobody is one to Envoy.
      return report.own?.flags === "UH" ? Math.max(1, report.attempts) : report.attempts
    case "UPSTREAM_TRANSPORT_FAILURE_REASON":
      return transportOf(report)
    default:
      return Downstream.ofUpstream(name, report.upstream)
  }
}

const ofTls = (name: Substitution.Operator, carrier: unknown): string | undefined => {
  if (!(carrier instanceof Tls.TLSSocket)) return undefined
  switch (name) {
    case "DOWNSTREAM_TLS_VERSION":
      return carrier.getProtocol() ?? undefined
    case "DOWNSTREAM_TLS_CIPHER":
      return carrier.getCipher()?.name
    default:
      return undefined
  }
}

const flagsOf = ({ end, failure, own }: Relay.Report): string => {
  switch (end) {
    case "answered":
      return own?.flags ?? "-"
    case "gone":
      return "DC"
    case "timed_out":
      return "UT"
    case "cut":
      return failure === undefined ? "UC" : OwnAnswers.failed(failure).flags
    case "denied":
      return "-"
  }
}

const detailsOf = (report: Relay.Report): string => {
  const { end, failure, own } = report
  switch (end) {
    case "answered":
      return own === undefined ? "via_upstream" : ownDetails(own, transportOf(report))
    case "gone":
      return "downstream_remote_disconnect"
    case "timed_out":
      return "response_timeout"
    case "cut":
      return failure === undefined
        ? "upstream_reset_after_response_started{connection_termination}"
        : OwnAnswers.failed(failure).details.replace("before", "after")
    case "denied":
      return "rbac_access_denied"
  }
}

/** Of a connection that could not be made, with the reason of the transport. */
const ownDetails = ({ details, flags }: OwnAnswer.OwnAnswer, transport: string | undefined): string =>
  flags === "UF" && transport !== undefined ? details.replace(/\}$/, `|${transport}}`) : details

const transportOf = ({ failure }: Relay.Report): string | undefined =>
  failure?._tag === "NotConnected" ? failure.transport : undefined
