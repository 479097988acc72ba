/**
 * Texts with `%OPERATORS%`, as Envoy has them in access logs and in the values of headers, and as Consul's entries hand them on:
 * `%REQ(:METHOD)% %REQ(X-NONE?:AUTHORITY):20%`. Compiled once, then filled in for each request.
 *
 * `%%` is a percent sign. `NAME(argument)`, where an argument of `REQ`, `RESP` and `TRAILER` may name a second header that stands in
 * for the first one. `:N` keeps the first N characters.
 */
import { Result } from "effect"

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
  "DOWNSTREAM_LOCAL_ADDRESS",
  "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
  "DOWNSTREAM_LOCAL_PORT",
  "DOWNSTREAM_LOCAL_URI_SAN",
  "DOWNSTREAM_PEER_URI_SAN",
  "DOWNSTREAM_REMOTE_ADDRESS",
  "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
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
  "ROUTE_NAME",
  "UPSTREAM_CLUSTER",
  "UPSTREAM_HOST",
  "UPSTREAM_LOCAL_ADDRESS",
  "UPSTREAM_REMOTE_ADDRESS",
  "UPSTREAM_REQUEST_ATTEMPT_COUNT",
  "UPSTREAM_TRANSPORT_FAILURE_REASON"
] as const

export type Operator = (typeof operators)[number]

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

const operator = /%([A-Z_]+)(?:\(([^()%]*(?:%[^()]*)?)\))?(?::(\d+))?%/y

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
    default:
      return isOperator(name) && argument === undefined
        ? Result.succeed((facts) => facts.operator(name))
        : Result.fail(`the operator %${name}${argument === undefined ? "" : `(${argument})`}% is not known`)
  }
}

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
  const iso = new Date(millis).toISOString()
  if (format === "") return iso
  const parts: Readonly<Record<string, string>> = {
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
    /%(?:([YmdHMSsTF])|([1-9]?)f)/g,
    (_, letter: string | undefined, digits: string) =>
      letter === undefined ? fraction.slice(0, Number(digits || 9)) : parts[letter]!
  )
}
