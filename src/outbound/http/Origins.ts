/** What the origins of requests name. Programs call few services: each origin is parsed once. */
import { Result } from "effect"
import type * as DialError from "../DialError.ts"
import * as Resolver from "../Resolver.ts"

export interface Origin {
  /** With its port. */
  readonly host: string
  readonly hostname: string
  readonly named: Result.Result<Resolver.Resolver, DialError.UnknownName>
}

/** Beyond so many, origins are parsed each time: outsiders may choose them. */
const maxOrigins = 1000

/** `resolve` says what a host names where Consul's names do not tell. */
export const make = (
  resolve: ((host: string) => Resolver.Input | undefined) | undefined
): (origin: string) => Origin => {
  const origins = new Map<string, Origin>()

  const resolverOf = (host: string): Origin["named"] => {
    const resolved = resolve?.(host)
    return resolved === undefined ? Resolver.parse(host) : Result.succeed(Resolver.from(resolved))
  }

  return (text) => {
    const known = origins.get(text)
    if (known !== undefined) return known
    const { host, hostname } = URL.canParse(text) ? new URL(text) : { host: text, hostname: text }
    const origin = { host, hostname, named: resolverOf(hostname) }
    if (origins.size < maxOrigins) origins.set(text, origin)
    return origin
  }
}
