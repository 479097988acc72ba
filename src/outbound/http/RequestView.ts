/** A request as undici is given it, looked at as routes do. */
import type * as Undici from "@effect/platform-node/Undici"
import * as HttpRequest from "../../intention/HttpRequest.ts"
import type * as Substitution from "../../observe/Substitution.ts"
import * as HeaderRules from "../../route/HeaderRules.ts"
import * as HttpRoutes from "../../route/HttpRoutes.ts"
import * as RequestField from "../../route/RequestField.ts"
import type * as Upstream from "./Upstream.ts"

type Headers = Undici.Dispatcher.DispatchOptions["headers"]

/** Its headers are read when they are asked for: most routes look at none. */
export const of = ({ headers, method, path }: Undici.Dispatcher.DispatchOptions): HttpRequest.HttpRequest => {
  let read: HttpRequest.HttpRequest | undefined
  const full = () => read ??= HttpRequest.fromRaw(method, path, rawOf(headers))
  return {
    method,
    path,
    header: (name) => full().header(name),
    lines: (name) => full().lines(name)
  }
}

/** As it is sent on its way. */
export const changed = (
  options: Undici.Dispatcher.DispatchOptions,
  request: HttpRequest.HttpRequest,
  { instance, way }: Upstream.Picked
): Undici.Dispatcher.DispatchOptions => {
  if (way === undefined) return options
  const { leg, route } = way
  const path = HttpRoutes.rewritten(route, options.path)
  if (leg.changes.request === undefined && route.changes.request === undefined) {
    return path === options.path ? options : { ...options, path }
  }
  const rules = [leg.changes.request, route.changes.request]
  const headers = HeaderRules.applyAll(rules, rawOf(options.headers), factsOf(request, instance, undefined))
  return { ...options, path, headers: [...headers] }
}

/** Whether its answer is changed before it is handed on. */
export const changesAnswer = ({ hashed, way }: Upstream.Picked): boolean =>
  hashed.setCookie !== undefined || (way !== undefined && hasResponseRules(way))

const hasResponseRules = ({ leg, route }: Upstream.Way): boolean =>
  leg.changes.response !== undefined || route.changes.response !== undefined

/** The headers of its answer as they are handed on: `name, value, name, value, …` */
export const answered = (
  headers: Record<string, string | Array<string> | undefined>,
  status: number,
  request: HttpRequest.HttpRequest,
  { hashed: { setCookie }, instance, way }: Upstream.Picked
): ReadonlyArray<string> => {
  const raw = rawOf(headers)
  const answer = { status, header: (name: string) => HttpRequest.fromRaw("", "", raw).header(name) }
  const changed = way === undefined || !hasResponseRules(way)
    ? raw
    : HeaderRules.applyAll(
      [way.leg.changes.response, way.route.changes.response],
      raw,
      factsOf(request, instance, answer)
    )
  return setCookie === undefined ? changed : [...changed, "set-cookie", setCookie]
}

interface Answer {
  readonly status: number
  readonly header: (name: string) => string | undefined
}

const factsOf = (
  request: HttpRequest.HttpRequest,
  { address, target }: Upstream.Picked["instance"],
  answer: Answer | undefined
): Substitution.Facts => ({
  operator: (name) => {
    switch (name) {
      case "PROTOCOL":
        return "HTTP/1.1"
      case "RESPONSE_CODE":
        return answer?.status
      case "UPSTREAM_CLUSTER":
        return target.sni === "" ? target.id : target.sni
      case "UPSTREAM_HOST":
        return address
      default:
        return undefined
    }
  },
  request: (name) => RequestField.read(request, name),
  response: (name) => answer?.header(name),
  trailer: () => undefined,
  startTime: Date.now()
})

/** `name, value, name, value, …` */
const rawOf = (headers: Headers): Array<string> => {
  if (headers === undefined || headers === null) return []
  if (Array.isArray(headers)) return headers.map(String)
  const pairs: Iterable<readonly [string, Value]> = isIterable(headers) ? headers : Object.entries(headers)
  const raw: Array<string> = []
  for (const [name, value] of pairs) {
    if (Array.isArray(value)) { for (const line of value) raw.push(name, line) }
    else if (value !== undefined) raw.push(name, String(value))
  }
  return raw
}

type Value = string | number | Array<string> | undefined

const isIterable = (headers: object): headers is Iterable<readonly [string, Value]> => Symbol.iterator in headers

/** As undici hands over headers. */
export const recordOf = (raw: ReadonlyArray<string>): Record<string, string | Array<string>> => {
  const record: Record<string, string | Array<string>> = {}
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    const before = record[name]
    record[name] = before === undefined ? raw[i + 1]! : [before, raw[i + 1]!].flat()
  }
  return record
}
