/** Small values in the JSON form of Envoy's API. */
import type * as Endpoints from "../../watch/Endpoints.ts"
import type { Message } from "../proto/Messages.ts"

/** A duration as Protobuf writes it: with 3, 6 or 9 digits after the point, or none. */
export const duration = (millis: number): string => {
  const nanos = Math.round(millis * 1e6)
  const rest = nanos % 1e9
  if (rest === 0) return `${nanos / 1e9}s`
  const digits = String(rest).padStart(9, "0").replace(/(000){1,2}$/, "")
  return `${Math.floor(nanos / 1e9)}.${digits}s`
}

/** Envoy's way of saying that there is no limit is zero; the config entries' is less than zero. Zero leaves it open. */
export const timeout = (millis: number): string | undefined => millis === 0 ? undefined : duration(Math.max(0, millis))

export const address = (host: string, port: number): Message<"core.Address"> => ({
  socket_address: { address: host, port_value: port }
})

export const addressOf = (at: Endpoints.Endpoint["address"]): Message<"core.Address"> =>
  "path" in at ? { pipe: { path: at.path } } : address(at.host, at.port)

/** From the stream that the rest comes from. */
export const ads: Message<"core.ConfigSource"> = { ads: {}, resource_api_version: "V3" }

export const escapeRegex = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")

export const anyOf = (texts: ReadonlyArray<string>): Message<"matcher.StringMatcher"> => ({
  safe_regex: { regex: texts.map(escapeRegex).join("|") }
})

export const onMethods = (methods: ReadonlyArray<string>): Message<"route.HeaderMatcher"> => ({
  name: ":method",
  string_match: anyOf(methods.map((method) => method.toUpperCase()))
})

/** Undefined instead of an empty list, as it is not on the wire either. */
export const some = <A>(list: ReadonlyArray<A>): ReadonlyArray<A> | undefined => list.length === 0 ? undefined : list

export const isHttpLike = (protocol: string): boolean =>
  protocol === "http" || protocol === "http2" || protocol === "grpc"

/** Whether it is HTTP/2 on the wire. */
export const isHttp2 = (protocol: string): boolean => protocol === "http2" || protocol === "grpc"
