/** What a request asks for, read in one way for both directions, or why it goes nowhere. */
import type * as Fields from "../../http/h1/Fields.ts"
import * as Lines from "../../http/h1/Lines.ts"
import type * as Exchange from "../../http/relay/Exchange.ts"
import * as OwnAnswer from "../../http/relay/OwnAnswer.ts"
import * as OwnAnswers from "../../http/relay/OwnAnswers.ts"
import * as RequestFields from "../../http/relay/RequestFields.ts"
import * as RequestView from "../../http/relay/RequestView.ts"
import * as RequestTarget from "../../http/RequestTarget.ts"

export interface RequestStart extends RequestFields.Request {
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** Instead of `Host`, where the request line names the authority. */
  readonly authority: string | undefined
}

/** Whether it is an answer: to be given at once. */
export const isRefusal = (start: RequestStart | OwnAnswer.OwnAnswer): start is OwnAnswer.OwnAnswer => "details" in start

export const read = ({ request }: Exchange.ServerExchange): RequestStart | OwnAnswer.OwnAnswer => {
  const { method } = request
  const read = RequestFields.read(request)
  if ("_tag" in read) return refusalOf(read)
  const { authority, target } = RequestTarget.parse(request.target)
  if (authority === undefined && read.host < 0) return hostless
  if (!RequestFields.isAuthority(authority ?? read.fields.value(read.host))) return noHttp
  if (method === "CONNECT") return OwnAnswers.noTunnel
  if (target === "*") return OwnAnswers.noRoute
  // Readers of URLs could take these for other paths.
  return target.startsWith("/") ? { ...read, method, path: target, authority } : noHttp
}

const refusalOf = ({ _tag }: RequestFields.Refused): OwnAnswer.OwnAnswer =>
  _tag === "UpgradeRefused" ? OwnAnswers.upgradeRefused : _tag === "Hostless" ? hostless : noHttp

const hostless = OwnAnswers.malformed("missing_host_header")

/** As what is no HTTP at all: in the words of the machine below. */
const noHttp: OwnAnswer.OwnAnswer = OwnAnswer.make(400, "Bad Request", "-", "http1.codec_error")

/** The lines that take the place of a field `host` that says something else. */
export const hostLine = ({ authority }: Pick<RequestStart, "authority">): string =>
  authority === undefined ? "" : `host: ${authority}\r\n`

/** Positions of what is not sent on, `others` among them. */
export const withDropped = (
  { authority, dropped, host }: Pick<RequestStart, "authority" | "dropped" | "host">,
  others: ReadonlyArray<number>
): ReadonlyArray<number> => {
  const added = authority === undefined || host < 0 ? others : [...others, host]
  return added.length === 0 ? dropped : [...new Set([...dropped, ...added])].sort((a, b) => a - b)
}

/** As a list `name, value, …`: for rules, and for readers of such lists. */
export const toRaw = (lines: Lines.Lines): Array<string> => {
  const raw: Array<string> = []
  Lines.forEach(lines, (name, value) => raw.push(name, value))
  return raw
}

/** How the body of a request goes on. */
export const bodyOf = ({ framing }: Exchange.ServerExchange["request"]): Exchange.Body =>
  framing._tag === "Length" ? framing.bytes === 0 ? "none" : "length" : "streamed"

/** Positions, with those of fields of these names, in lower case. */
export const withoutNamed = (
  fields: Fields.Fields,
  dropped: ReadonlyArray<number>,
  names: ReadonlyArray<string>
): ReadonlyArray<number> => {
  const all = new Set(dropped)
  for (const name of names) {
    for (let index = fields.indexOf(name); index >= 0; index = fields.indexOf(name, index + 1)) all.add(index)
  }
  return [...all].sort((a, b) => a - b)
}

/** Reads fields by names in lower case. */
export const reader = (lines: Lines.Lines) => (name: string): string | undefined => {
  const raw = toRaw(lines)
  for (let i = 0; i < raw.length; i += 2) if (raw[i]!.toLowerCase() === name) return raw[i + 1]
  return undefined
}

/** As it is sent on over plain HTTP. `requestId`: the one that it gets, empty where it brought one. */
export const viewOf = (
  start: RequestStart,
  requestId: string,
  client: Pick<Exchange.ServerExchange, "remote">,
  scheme: "http" | "https" = "http"
): RequestView.RequestView => {
  const more: Array<string> = []
  if (start.authority !== undefined) more.push("host", start.authority)
  if (start.forwardedProto < 0) more.push("x-forwarded-proto", scheme)
  if (requestId !== "") more.push("x-request-id", requestId)
  more.push(...RequestFields.restated(start))
  const dropped = withDropped(start, start.clientCert)
  return new RequestView.RequestView(start.method, start.path, client, start.fields, dropped, more)
}
