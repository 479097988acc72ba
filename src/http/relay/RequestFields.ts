/**
 * What a proxy makes of the fields of a request before it looks at them: those between two hops go, and what only Envoy's
 * clients may say to their own proxy. What is left is what is routed, judged and sent on: nobody sees anything else.
 */
import * as Fields from "../h1/Fields.ts"
import type * as Head from "../h1/Head.ts"

export interface Request {
  readonly fields: Fields.Fields
  /** Positions of fields that are not sent on, ascending. */
  readonly dropped: ReadonlyArray<number>
  /** Of the field that names the authority. */
  readonly host: number
  /** Whether it asks for another protocol that is passed on. */
  readonly upgrades: boolean
  /** Positions; -1: there is none. */
  readonly forwardedProto: number
  readonly requestId: number
  readonly clientCert: ReadonlyArray<number>
  /** Whether it may name a trace. */
  readonly traced: boolean
}

export type Refused =
  /** Answered as what is no HTTP, and the connection ends. */
  | { readonly _tag: "Malformed"; readonly why: string }
  /** An upgrade to something that is not passed on. */
  | { readonly _tag: "UpgradeRefused" }

const kinds = {
  connection: 1,
  host: 2,
  upgrade: 3,
  te: 4,
  expect: 5,
  hop: 6,
  proto: 7,
  requestId: 8,
  clientCert: 9,
  trace: 10
} as const

/** By the length of the name: few names are compared with each field. */
const names: ReadonlyArray<ReadonlyArray<readonly [string, number]> | undefined> = byLength({
  connection: kinds.connection,
  host: kinds.host,
  upgrade: kinds.upgrade,
  te: kinds.te,
  expect: kinds.expect,
  "keep-alive": kinds.hop,
  "proxy-connection": kinds.hop,
  "transfer-encoding": kinds.hop,
  "http2-settings": kinds.hop,
  "x-envoy-decorator-operation": kinds.hop,
  "x-envoy-expected-rq-timeout-ms": kinds.hop,
  "x-envoy-force-trace": kinds.hop,
  "x-envoy-hedge-on-per-try-timeout": kinds.hop,
  "x-envoy-internal": kinds.hop,
  "x-envoy-ip-tags": kinds.hop,
  "x-envoy-max-retries": kinds.hop,
  "x-envoy-retriable-header-names": kinds.hop,
  "x-envoy-retriable-status-codes": kinds.hop,
  "x-envoy-retry-grpc-on": kinds.hop,
  "x-envoy-retry-on": kinds.hop,
  "x-envoy-upstream-alt-stat-name": kinds.hop,
  "x-envoy-upstream-rq-per-try-timeout-ms": kinds.hop,
  "x-envoy-upstream-rq-timeout-alt-response": kinds.hop,
  "x-envoy-upstream-rq-timeout-ms": kinds.hop,
  "x-envoy-upstream-stream-duration-ms": kinds.hop,
  "x-forwarded-proto": kinds.proto,
  "x-request-id": kinds.requestId,
  "x-forwarded-client-cert": kinds.clientCert,
  traceparent: kinds.trace,
  b3: kinds.trace,
  "x-b3-traceid": kinds.trace
})

function byLength(kinds: Readonly<Record<string, number>>): Array<Array<readonly [string, number]> | undefined> {
  const table: Array<Array<readonly [string, number]> | undefined> = []
  for (const entry of Object.entries(kinds)) (table[entry[0].length] ??= []).push(entry)
  return table
}

const kindOf = (fields: Fields.Fields, index: number): number => {
  const candidates = names[fields.places[index * 4 + 1]! - fields.places[index * 4]!]
  if (candidates !== undefined) {
    for (const [name, kind] of candidates) if (fields.isNamed(index, name)) return kind
  }
  return 0
}

/** Over HTTP/2 there are no hops to speak of: the same holds for both versions. */
export const read = ({ fields, method }: Head.Request): Request | Refused => {
  const dropped: Array<number> = []
  const clientCert: Array<number> = []
  let connection = ""
  let host = -1
  let upgrade = -1
  let forwardedProto = -1
  let requestId = -1
  let traced = false
  for (let index = 0; index < fields.count; index++) {
    switch (kindOf(fields, index)) {
      case kinds.connection:
        connection += `${fields.value(index).toLowerCase()},`
        dropped.push(index)
        break
      case kinds.host:
        if (host >= 0) return malformed("there is more than one Host")
        host = index
        break
      case kinds.upgrade:
        if (upgrade >= 0) return malformed("there is more than one Upgrade")
        upgrade = index
        dropped.push(index)
        break
      case kinds.te:
        if (fields.value(index).toLowerCase() !== "trailers") dropped.push(index)
        break
      case kinds.expect:
        if (fields.value(index).toLowerCase() === "100-continue") dropped.push(index)
        break
      case kinds.hop:
        dropped.push(index)
        break
      case kinds.proto:
        forwardedProto = index
        break
      case kinds.requestId:
        requestId = index
        break
      case kinds.clientCert:
        clientCert.push(index)
        break
      case kinds.trace:
        traced = true
        break
      default:
    }
  }
  const request = { fields, dropped, host, forwardedProto, requestId, clientCert, traced }
  if (connection === "") return { ...request, upgrades: false }
  return ofConnection(request, connection, upgrade, method)
}

/** What `Connection` says: options, and names of fields that are meant for us alone. */
const ofConnection = (
  request: Omit<Request, "upgrades">,
  connection: string,
  upgrade: number,
  method: string
): Request | Refused => {
  const options = connection.split(",").map((option) => option.trim())
  const { fields, host } = request
  let upgrades = false
  if (upgrade >= 0 && options.includes("upgrade")) {
    const protocol = fields.value(upgrade).toLowerCase()
    if (protocol !== "h2c") {
      if (protocol !== "websocket" || method !== "GET") return { _tag: "UpgradeRefused" }
      upgrades = true
    }
  }
  const dropped = new Set(request.dropped)
  let { forwardedProto, requestId } = request
  for (let index = 0; index < fields.count; index++) {
    if (!options.includes(fields.name(index).toLowerCase())) continue
    // Nobody may have the authority, or the length of a body, left out.
    if (index === host || fields.isNamed(index, "content-length")) {
      return malformed("Connection names a field that has to stay")
    }
    if (fields.isNamed(index, "te")) continue
    dropped.add(index)
    if (index === forwardedProto) forwardedProto = -1
    if (index === requestId) requestId = -1
  }
  return {
    ...request,
    forwardedProto,
    requestId,
    dropped: [...dropped].sort((a, b) => a - b),
    upgrades
  }
}

const malformed = (why: string): Refused => ({ _tag: "Malformed", why })

/**
 * Names and values, in turn, that ask for the upgrade again. What else `Connection` names was for us: it must not cost the
 * application a field.
 */
export const upgradeList = ({ fields }: Request): ReadonlyArray<string> => {
  const options: Array<string> = []
  for (let at = fields.indexOf("connection"); at >= 0; at = fields.indexOf("connection", at + 1)) {
    options.push(...fields.value(at).split(",").map((option) => option.trim()))
  }
  const kept = options.filter((option) => /^(?:keep-alive|upgrade)$/i.test(option))
  return ["connection", kept.join(", "), "upgrade", fields.value(fields.indexOf("upgrade"))]
}

/** The same as the lines of a head. */
export const upgradeLines = (request: Request): string => {
  const [connection, options, upgrade, protocol] = upgradeList(request)
  return `${connection}: ${options}\r\n${upgrade}: ${protocol}\r\n`
}

/** What an authority may be written with: `user@a.test`, `[::1]:80`, nothing at all. */
export const isAuthority = (text: string): boolean => /^[\w\-.~!$&'()*+,;=:@%[\]]*$/.test(text)
