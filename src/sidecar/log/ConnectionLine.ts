/** The line of an access log about a connection whose bytes were relayed, or that came to nobody. */
import * as Lines from "../../http/h1/Lines.ts"
import type * as AccessLogWriter from "./AccessLogWriter.ts"
import * as Downstream from "./Downstream.ts"
import type * as Substitution from "../../observe/Substitution.ts"
import type * as Splice from "../../net/Splice.ts"

/** In the words of Envoy. */
export interface Ended {
  readonly flags: string
  /** Its name of where it goes: `local_app`, or the SNI of the target. */
  readonly cluster?: string | undefined
  /** Why we have ended it. */
  readonly termination?: string | undefined
  /** Why there was no connection to the other side. */
  readonly transportFailure?: string | undefined
}

export interface ConnectionLine {
  /** There is a connection to the other side, at this `address:port`. */
  readonly reached: (upstream: Splice.Stream, remote: string) => void
  readonly ended: (ended: Ended) => void
}

export interface Options extends Pick<Downstream.Downstream, "peer" | "identity"> {
  /** Asked when it is over. */
  readonly log: () => AccessLogWriter.Log | undefined
  /** Whoever has connected. Addresses are read at once: those of a socket that is closed are not known any more. */
  readonly downstream: Splice.Stream
  /** What it has asked for, where TLS is passed on unopened. */
  readonly serverName?: string | undefined
}

export const begin = ({ downstream, identity, log, peer, serverName }: Options): ConnectionLine => {
  const startTime = Date.now()
  const direct = Lines.address(downstream.remoteAddress, downstream.remotePort)
  const local = Lines.address(downstream.localAddress, downstream.localPort)
  const client: Downstream.Downstream = { local, direct, remote: direct, peer, identity }
  let upstream: Upstream | undefined
  return {
    reached: (socket, remote) => {
      upstream = { local: Lines.address(socket.localAddress, socket.localPort), remote }
    },
    ended: (ended) => {
      const write = log()
      if (write === undefined) return
      const duration = Date.now() - startTime
      // Nothing of a connection is read before there is another one to pass it on to.
      const received = upstream === undefined ? 0 : downstream.bytesRead
      const sent = upstream === undefined ? 0 : downstream.bytesWritten
      write({
        startTime,
        request: none,
        response: none,
        trailer: none,
        operator: (name) => {
          switch (name) {
            case "BYTES_RECEIVED":
              return received
            case "BYTES_SENT":
              return sent
            case "DURATION":
              return duration
            case "RESPONSE_CODE":
              return 0
            case "REQUESTED_SERVER_NAME":
              return serverName
            default:
              return ofEnd(name, ended) ?? ofUpstream(name, upstream) ?? Downstream.valueOf(client, name)
          }
        }
      })
    }
  }
}

/** Addresses of the connection to the other side. */
interface Upstream {
  readonly local: string
  readonly remote: string
}

const ofUpstream = (name: Substitution.Operator, upstream: Upstream | undefined): string | number | undefined =>
  name === "UPSTREAM_HOST" ? upstream?.remote : Downstream.ofUpstream(name, upstream)

const ofEnd = (
  name: Substitution.Operator,
  { cluster, flags, termination, transportFailure }: Ended
): string | undefined => {
  switch (name) {
    case "RESPONSE_FLAGS":
      return flags
    case "CONNECTION_TERMINATION_DETAILS":
      return termination
    case "UPSTREAM_CLUSTER":
      return cluster
    case "UPSTREAM_TRANSPORT_FAILURE_REASON":
      return transportFailure
    default:
      return undefined
  }
}

const none = () => undefined
