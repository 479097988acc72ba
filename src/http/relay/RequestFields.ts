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
  /** Whether it takes trailers, and has said so among other things in a field that is left out. */
  readonly takesTrailers: boolean
}

export type Refused =
  /** Answered as what is no HTTP, and the connection ends. */
  | { readonly _tag: "Malformed"; readonly why: string }
  /** An upgrade to something that is not passed on. */
  | { readonly _tag: "UpgradeRefused" }
  /** Its authority was for us alone. */
  | { readonly _tag: "Hostless" }

const kinds = {
  connection: 1,
  host: 2,
  upgrade: 3,
  te: 4,
  expect: 5,
  hop: 6,
  settings: 11,
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
  "http2-settings": kinds.settings,
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
  let settings = -1
  let takesTrailers = false
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
        upgrade = upgrade === -1 ? index : several
        dropped.push(index)
        break
      case kinds.te:
        if (isWholeTe(fields.value(index))) break
        dropped.push(index)
        takesTrailers ||= tokensOf(fields.value(index)).includes("trailers")
        break
      case kinds.settings:
        settings = index
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
  const request = { fields, dropped, host, forwardedProto, requestId, clientCert, traced, takesTrailers }
  if (connection === "") return { ...request, upgrades: false }
  return ofConnection(request, connection, { upgrade, settings }, method)
}

/** Instead of the position of a field of which there are several. */
const several = -2

const tokensOf = (value: string): ReadonlyArray<string> => value.split(",").map((token) => token.trim())

/** Nothing in it is for the next hop alone: trailers are what it may ask an application for. */
const isWholeTe = (value: string): boolean => value === "trailers" || value === ""

/** What tells the application whose request it is. A client that had it left out would hide behind us. */
const unnamable: ReadonlySet<string> = new Set(["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"])

/** As many names as Envoy takes to be too many. */
const manyOptions = 10

/** What `Connection` says: options, and names of fields that are meant for us alone. */
const ofConnection = (
  request: Omit<Request, "upgrades">,
  connection: string,
  { settings, upgrade }: { readonly upgrade: number; readonly settings: number },
  method: string
): Request | Refused => {
  const options = tokensOf(connection.slice(0, -1))
  const { fields, host } = request
  if (options.length >= manyOptions) return malformed("Connection has too many options")
  if (options.some((option) => unnamable.has(option) || option.startsWith(":"))) {
    return malformed("Connection names a field that tells whose request it is")
  }
  const dropped = new Set(request.dropped)
  let upgrades = false
  if (upgrade !== -1 && options.includes("upgrade")) {
    const protocol = upgrade === several ? "" : fields.value(upgrade).toLowerCase()
    if (protocol === "h2c") {
      if (settings >= 0) dropped.add(settings)
    } else {
      if (protocol !== "websocket" || method !== "GET") return { _tag: "UpgradeRefused" }
      upgrades = true
    }
  }
  let { forwardedProto, requestId } = request
  for (let index = 0; index < fields.count; index++) {
    if (!options.includes(fields.name(index).toLowerCase())) continue
    // Nobody may have the length of a body left out.
    if (fields.isNamed(index, "content-length")) return malformed("Connection names a field that has to stay")
    if (index === host) return { _tag: "Hostless" }
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
const upgradeList = ({ fields }: Request): ReadonlyArray<string> => {
  const options: Array<string> = []
  for (let at = fields.indexOf("connection"); at >= 0; at = fields.indexOf("connection", at + 1)) {
    options.push(...fields.value(at).split(",").map((option) => option.trim()))
  }
  const kept = options.filter((option) => /^(?:keep-alive|upgrade)$/i.test(option))
  return ["connection", kept.join(", "), "upgrade", fields.value(fields.indexOf("upgrade"))]
}

/** Names and values, in turn, that take the place of what was left out. */
export const restated = (request: Request): ReadonlyArray<string> => [
  ...(request.takesTrailers ? ["te", "trailers"] : []),
  ...(request.upgrades ? upgradeList(request) : [])
]

/** The same as the lines of a head. */
export const restatedLines = (request: Request): string => {
  if (!request.takesTrailers && !request.upgrades) return ""
  const list = restated(request)
  return list.map((text, i) => i % 2 === 0 ? `${text}: ` : `${text}\r\n`).join("")
}

/** What an authority may be written with: `user@a.test`, `[::1]:80`, nothing at all. */
export const isAuthority = (text: string): boolean => /^[\w\-.~!$&'()*+,;=:@%[\]]*$/.test(text)
