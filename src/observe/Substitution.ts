/**
 * Texts with `%OPERATORS%`, as Envoy has them in access logs and in the values of headers, and as Consul's entries hand them on:
 * `%REQ(:METHOD)% %REQ(X-NONE?:AUTHORITY):20%`. Compiled once, then filled in for each request.
 *
 * `%%` is a percent sign. `NAME(argument)`, where an argument of `REQ`, `RESP` and `TRAILER` may name a second header that stands in
 * for the first one. `:N` keeps the first N characters.
 */
import { Result } from "effect"
import { hostname } from "node:os"

/** What there is to say about a request, or a connection, once it is over. */
export interface Facts {
  /** Of those in `operators`. Undefined: it does not apply. */
  readonly operator: (name: Operator) => string | number | undefined
  /** Headers by names in lower case; `:method`, `:path`, `:authority` and `:scheme` among those of the request. */
  readonly request: (name: string) => string | undefined
  readonly response: (name: string) => string | undefined
  readonly trailer: (name: string) => string | undefined
  /** When it began, in milliseconds since 1970. */
  readonly startTime: number
}

export const operators = [
  "BYTES_RECEIVED",
  "BYTES_SENT",
  "CONNECTION_ID",
  "CONNECTION_TERMINATION_DETAILS",
  "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
  "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
  "DOWNSTREAM_DIRECT_REMOTE_PORT",
  "DOWNSTREAM_LOCAL_ADDRESS",
  "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
  "DOWNSTREAM_LOCAL_PORT",
  "DOWNSTREAM_LOCAL_URI_SAN",
  "DOWNSTREAM_PEER_URI_SAN",
  "DOWNSTREAM_REMOTE_ADDRESS",
  "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
  "DOWNSTREAM_REMOTE_PORT",
  "DOWNSTREAM_TLS_CIPHER",
  "DOWNSTREAM_TLS_VERSION",
  "DURATION",
  "HOSTNAME",
  "PROTOCOL",
  "REQUEST_DURATION",
  "REQUESTED_SERVER_NAME",
  "RESPONSE_CODE",
  "RESPONSE_CODE_DETAILS",
  "RESPONSE_DURATION",
  "RESPONSE_FLAGS",
  "RESPONSE_FLAGS_LONG",
  "ROUTE_NAME",
  "UPSTREAM_CLUSTER",
  "UPSTREAM_HOST",
  "UPSTREAM_LOCAL_ADDRESS",
  "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
  "UPSTREAM_LOCAL_PORT",
  "UPSTREAM_REMOTE_ADDRESS",
  "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
  "UPSTREAM_REMOTE_PORT",
  "UPSTREAM_REQUEST_ATTEMPT_COUNT",
  "UPSTREAM_TRANSPORT_FAILURE_REASON"
] as const

export type Operator = (typeof operators)[number]

/**
 * Operators of Envoy 1.40 about what there is none of here, or what is not counted: they have nothing to say. A format that has one
 * is no wrong format for that.
 */
const silent =
  /^(?:BYTES_RETRANSMITTED|PACKETS_RETRANSMITTED|CLUSTER_METADATA|COMMON_DURATION|CUSTOM_FLAGS|DYNAMIC_METADATA|EMIT_TIME|EMIT_TIME_LOCAL|ENVIRONMENT|FILTER_STATE|LOCAL_REPLY_BODY|METADATA|REQUEST_HEADERS_BYTES|REQUEST_TX_DURATION|RESPONSE_HEADERS_BYTES|RESPONSE_TRAILERS_BYTES|RESPONSE_TX_DURATION|ROUNDTRIP_DURATION|SPAN_ID|START_TIME_LOCAL|STREAM_ID|TLS_JA[34]_FINGERPRINT|TRACE_ID|UNIQUE_ID|UPSTREAM_CONNECTION_(?:ID|POOL_READY_DURATION)|UPSTREAM_FILTER_STATE|UPSTREAM_METADATA|UPSTREAM_PROTOCOL|VIRTUAL_CLUSTER_NAME|DOWNSTREAM_HANDSHAKE_DURATION|DOWNSTREAM_TRANSPORT_FAILURE_REASON|(?:DOWNSTREAM|UPSTREAM)_(?:DETECTED_CLOSE_TYPE|(?:WIRE|HEADER|DECOMPRESSED_HEADER)_BYTES_(?:RECEIVED|SENT)|TLS_(?:CIPHER|SESSION_ID|VERSION)|(?:PEER|LOCAL)_(?:CERT(?:_V_(?:START|END))?|CHAIN_(?:FINGERPRINTS_(?:1|256)|SERIALS)|(?:DNS|EMAIL|IP|OTHERNAME|URI)_SAN|FINGERPRINT_(?:1|256)|ISSUER|SERIAL|SUBJECT)))$/

/** By their names in `RESPONSE_FLAGS`. */
const longFlags: Readonly<Record<string, string>> = {
  DC: "DownstreamConnectionTermination",
  DPE: "DownstreamProtocolError",
  NR: "NoRouteFound",
  SI: "StreamIdleTimeout",
  UC: "UpstreamConnectionTermination",
  UF: "UpstreamConnectionFailure",
  UH: "NoHealthyUpstream",
  UO: "UpstreamOverflow",
  UPE: "UpstreamProtocolError",
  UR: "UpstreamRemoteReset",
  URX: "UpstreamRetryLimitExceeded",
  UT: "UpstreamRequestTimeout"
}

type Value = (facts: Facts) => string | number | undefined

/** A text between operators, or an operator. */
type Piece = string | Value

export interface Substitution {
  /** What an operator has nothing to say about is `absent`. */
  readonly text: (facts: Facts, absent: string) => string
  /** The value itself where the text is one operator and nothing else: a number stays one. Undefined: it does not apply. */
  readonly value: (facts: Facts) => string | number | undefined
}

/** Fails with what is wrong with the text. */
export const compile = (text: string): Result.Result<Substitution, string> =>
  Result.map(pieces(text), (pieces) => {
    const fill: Substitution["text"] = (facts, absent) =>
      pieces.map((piece) => typeof piece === "string" ? piece : String(piece(facts) ?? absent)).join("")
    const [only, ...others] = pieces
    return {
      text: fill,
      value: others.length === 0 && typeof only === "function" ? only : (facts) => fill(facts, "-")
    }
  })

const pieces = (text: string): Result.Result<ReadonlyArray<Piece>, string> =>
  Result.gen(function*() {
    const found: Array<Piece> = []
    let at = 0
    while (at < text.length) {
      const start = text.indexOf("%", at)
      const before = text.slice(at, start < 0 ? undefined : start)
      if (before !== "") found.push(before)
      if (start < 0) break
      if (text[start + 1] === "%") {
        found.push("%")
        at = start + 2
        continue
      }
      operator.lastIndex = start
      const match = operator.exec(text)
      if (match === null) {
        return yield* Result.fail(
          `${text.slice(start)} begins with no operator: write %NAME%, or %% for a percent sign`
        )
      }
      found.push(limited(yield* valueOf(match[1]!, match[2]), match[3]))
      at = operator.lastIndex
    }
    return found
  })

const operator = /%([A-Z][A-Z_\d]*)(?:\(([^()%]*(?:%[^()]*)?)\))?(?::(\d+))?%/y

const limited = (value: Value, length: string | undefined): Value =>
  length === undefined ? value : (facts) => {
    const full = value(facts)
    return full === undefined ? undefined : String(full).slice(0, Number(length))
  }

const valueOf = (name: string, argument: string | undefined): Result.Result<Value, string> => {
  switch (name) {
    case "REQ":
      return header(name, argument, "request")
    case "RESP":
      return header(name, argument, "response")
    case "TRAILER":
      return header(name, argument, "trailer")
    case "START_TIME":
      return Result.succeed(({ startTime }) => timeOf(startTime, argument ?? ""))
    case "HOSTNAME":
      return Result.succeed(() => host)
    case "ACCESS_LOG_TYPE":
      return Result.succeed(() => "DownstreamEnd")
    case "UPSTREAM_CLUSTER_RAW":
      return Result.succeed(({ operator }) => operator("UPSTREAM_CLUSTER"))
    // Instances have addresses and no names here.
    case "UPSTREAM_HOST_NAME":
      return Result.succeed(({ operator }) => operator("UPSTREAM_HOST"))
    case "UPSTREAM_HOST_NAME_WITHOUT_PORT":
      return Result.succeed(({ operator }) => operator("UPSTREAM_HOST")?.toString().replace(/:\d+$/, ""))
    case "RESPONSE_FLAGS_LONG":
      return Result.succeed(({ operator }) => {
        const flags = operator("RESPONSE_FLAGS")
        return flags === undefined ? undefined : longFlags[flags] ?? flags
      })
    case "GRPC_STATUS":
      return Result.succeed((facts) => grpcName(grpcStatus(facts), argument ?? ""))
    case "GRPC_STATUS_NUMBER":
      return Result.succeed(grpcStatus)
    case "PATH":
      return Result.succeed(pathOf(argument ?? ""))
    case "QUERY_PARAM":
      return Result.succeed(({ request }) => queryParameter(request(originalPath) ?? request(":path"), argument ?? ""))
    default:
      if (isOperator(name) && argument === undefined) return Result.succeed((facts) => facts.operator(name))
      return silent.test(name)
        ? Result.succeed(() => undefined)
        : Result.fail(`the operator %${name}${argument === undefined ? "" : `(${argument})`}% is not known`)
  }
}

const host = hostname()

const originalPath = "x-envoy-original-path"

/** `NQ`: without the query. `ORIG`: before it was rewritten; `PATH`: after; else the former, if there is one. */
const pathOf = (argument: string): Value => {
  const [query, which = "ORIG_OR_PATH"] = argument.split(":")
  return ({ request }) => {
    const path = which === "PATH"
      ? request(":path")
      : request(originalPath) ?? (which === "ORIG" ? undefined : request(":path"))
    return query === "NQ" ? path?.replace(/\?.*$/s, "") : path
  }
}

/** The first one of that name, undecoded. */
const queryParameter = (path: string | undefined, name: string): string | undefined => {
  const query = path?.includes("?") === true ? path.slice(path.indexOf("?") + 1) : ""
  for (const pair of query.split("&")) {
    const [key, ...value] = pair.split("=")
    if (key === name) return value.join("=")
  }
  return undefined
}

/** Of an answer to gRPC. */
const grpcStatus = ({ request, response, trailer }: Facts): number | undefined => {
  if (!/^application\/grpc(?:$|\+)/.test(request("content-type") ?? "")) return undefined
  const status = trailer("grpc-status") ?? response("grpc-status") ?? ""
  return /^\d{1,9}$/.test(status) ? Number(status) : undefined
}

/** `SNAKE_STRING`: `NOT_FOUND`; `NUMBER`: `5`; else `NotFound`. */
const grpcName = (status: number | undefined, format: string): string | number | undefined => {
  const name = status === undefined ? undefined : grpcNames[status]
  if (name === undefined || format === "NUMBER") return status
  return format === "SNAKE_STRING" ? name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase() : name
}

const grpcNames = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated"
]

const isOperator = (name: string): name is Operator => operators.some((known) => known === name)

const header = (
  operator: string,
  argument: string | undefined,
  of: "request" | "response" | "trailer"
): Result.Result<Value, string> => {
  const [name = "", instead, ...more] = (argument ?? "").toLowerCase().split("?")
  return name === "" || more.length > 0
    ? Result.fail(`%${operator}% names a header, and perhaps another one: %${operator}(X-ONE?X-OTHER)%`)
    : Result.succeed((facts) => facts[of](name) ?? (instead === undefined ? undefined : facts[of](instead)))
}

/** Without a format, as ISO 8601 has it. Of `strftime`, what logs use. */
const timeOf = (millis: number, format: string): string => {
  const date = new Date(millis)
  const iso = date.toISOString()
  if (format === "") return iso
  const name = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat("en-US", { timeZone: "UTC", ...options }).format(date)
  const parts: Readonly<Record<string, string>> = {
    a: name({ weekday: "short" }),
    A: name({ weekday: "long" }),
    b: name({ month: "short" }),
    B: name({ month: "long" }),
    e: String(date.getUTCDate()).padStart(2),
    j: String(Math.floor((millis - Date.UTC(date.getUTCFullYear(), 0)) / 86_400_000) + 1).padStart(3, "0"),
    R: iso.slice(11, 16),
    y: iso.slice(2, 4),
    z: "+0000",
    Z: "UTC",
    Y: iso.slice(0, 4),
    m: iso.slice(5, 7),
    d: iso.slice(8, 10),
    H: iso.slice(11, 13),
    M: iso.slice(14, 16),
    S: iso.slice(17, 19),
    T: iso.slice(11, 19),
    F: iso.slice(0, 10),
    s: String(Math.floor(millis / 1000))
  }
  const fraction = iso.slice(20, 23).padEnd(9, "0")
  return format.replace(
    /%(?:([YmdHMSsTFaAbBejRyzZ])|([1-9]?)f)/g,
    (_, letter: string | undefined, digits: string) =>
      letter === undefined ? fraction.slice(0, Number(digits || 9)) : parts[letter]!
  )
}
