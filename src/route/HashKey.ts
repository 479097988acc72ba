/** The hash of a request, for the balancers that send equal requests to one instance. */
import * as StringHash from "../balance/StringHash.ts"
import * as RequestField from "./RequestField.ts"
import * as RequestPath from "./RequestPath.ts"
import type * as TcpRoute from "./TcpRoute.ts"

export interface Request extends RequestField.Request {
  /** The address that the caller has, without its port. */
  readonly source?: string | undefined
}

/** 32 bits of all parts that apply, in order; undefined if none does. */
export const of = (hashBy: ReadonlyArray<TcpRoute.HashBy>, request: Request): number | undefined =>
  combine(hashBy, (policy) => valueOf(policy, request))

export interface Hashed {
  readonly hash: number | undefined
  /** For the answer, so that the next request has it: the value of `Set-Cookie`. */
  readonly setCookie: string | undefined
}

/** The same, where a cookie that is missing may be made: `make` gives it a value. At most one is made. */
export const withCookie = (
  hashBy: ReadonlyArray<TcpRoute.HashBy>,
  request: Request,
  make: () => string
): Hashed => {
  let setCookie: string | undefined
  const hash = combine(hashBy, (policy) => {
    const value = valueOf(policy, request)
    if (value !== undefined || policy.cookie === undefined || setCookie !== undefined) return value
    const made = make()
    setCookie = cookieOf(policy.name, made, policy.cookie)
    return made
  })
  return { hash, setCookie }
}

const combine = (
  hashBy: ReadonlyArray<TcpRoute.HashBy>,
  valueOf: (policy: TcpRoute.HashBy) => string | undefined
): number | undefined => {
  let hash: number | undefined
  for (const policy of hashBy) {
    const value = valueOf(policy)
    if (value !== undefined) hash = StringHash.hash(value, hash ?? 0)
    if (hash !== undefined && policy.terminal) break
  }
  return hash
}

const valueOf = ({ field, name }: TcpRoute.HashBy, request: Request): string | undefined => {
  switch (field) {
    case "header":
      return RequestField.read(request, name.toLowerCase())
    case "query_parameter":
      return RequestPath.parameter(request.path, name)
    case "cookie": {
      const start = `${name}=`
      const pair = request.header("cookie")?.split(/; */).find((pair) => pair.startsWith(start))
      return pair?.slice(start.length).replace(/^"(.*)"$/, "$1")
    }
    case "source_ip":
      return request.source
  }
}

/** As Envoy writes it. */
const cookieOf = (name: string, value: string, { maxAgeSeconds, path }: TcpRoute.MadeCookie): string =>
  [
    `${name}="${value}"`,
    ...(maxAgeSeconds === undefined ? [] : [`Max-Age=${maxAgeSeconds}`]),
    ...(path === "" ? [] : [`Path=${path}`]),
    "HttpOnly"
  ].join("; ")
