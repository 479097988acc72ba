/**
 * SPIFFE ids in the five forms that Consul uses. Parsing accepts exactly what `agent/connect/uri.go` accepts, except
 * that ports, users, queries and fragments are refused: no identity of a mesh has them. Trust domains are in lower case.
 */
import { Result, Schema } from "effect"
import type * as TrustDomain from "./TrustDomain.ts"

/** A service instance: `/[ap/<partition>/]ns/<namespace>/dc/<datacenter>/svc/<service>`. */
export interface Service {
  readonly _tag: "Service"
  readonly trustDomain: TrustDomain.TrustDomain
  /** `default` where the URI has none. */
  readonly partition: string
  readonly namespace: string
  readonly datacenter: string
  readonly service: string
}

/** A Consul client agent: `/[ap/<partition>/]agent/client/dc/<datacenter>/id/<node>`. */
export interface Agent {
  readonly _tag: "Agent"
  readonly trustDomain: TrustDomain.TrustDomain
  readonly partition: string
  readonly datacenter: string
  readonly node: string
}

/** A mesh gateway: `/[ap/<partition>/]gateway/mesh/dc/<datacenter>`. */
export interface MeshGateway {
  readonly _tag: "MeshGateway"
  readonly trustDomain: TrustDomain.TrustDomain
  readonly partition: string
  readonly datacenter: string
}

/** A Consul server: `/agent/server/dc/<datacenter>`. */
export interface Server {
  readonly _tag: "Server"
  readonly trustDomain: TrustDomain.TrustDomain
  readonly datacenter: string
}

/** The certificate authority itself: no path, and a dot in the host. */
export interface Signing {
  readonly _tag: "Signing"
  readonly trustDomain: TrustDomain.TrustDomain
}

export type SpiffeId = Service | Agent | MeshGateway | Server | Signing

/** The text is not a SPIFFE id of a Consul mesh. Do not retry. */
export class InvalidSpiffeId extends Schema.TaggedError<InvalidSpiffeId>()("InvalidSpiffeId", {
  uri: Schema.String,
  why: Schema.String
}) {
  override readonly message = `${JSON.stringify(this.uri)} is not a Consul SPIFFE id: ${this.why}`
}

/** The identity of a service in the default partition and namespace. */
export const service = (options: {
  readonly trustDomain: TrustDomain.TrustDomain
  readonly datacenter: string
  readonly service: string
  readonly namespace?: string | undefined
  readonly partition?: string | undefined
}): Service => ({
  _tag: "Service",
  trustDomain: options.trustDomain.toLowerCase(),
  partition: options.partition || "default",
  namespace: options.namespace || "default",
  datacenter: options.datacenter,
  service: options.service
})

/** Segments are percent-decoded after splitting, so an encoded slash never makes a segment. */
export const parse = (uri: string): Result.Result<SpiffeId, InvalidSpiffeId> => {
  const fail = (why: string) => Result.fail(new InvalidSpiffeId({ uri: uri.slice(0, 256), why }))
  const match = /^spiffe:\/\/([^/]*)(\/.*)?$/s.exec(uri)
  if (match === null) return fail("it does not start with spiffe://<trust domain>")
  // Consul signs it in any letter case, but a caller must have one spelling only (SPIFFE-ID, 2.1).
  const trustDomain = match[1]!.toLowerCase()
  if (!/^[a-z0-9._-]+$/.test(trustDomain)) {
    return fail("the trust domain may consist of letters, digits, dots, dashes and underscores only")
  }
  const path = match[2] ?? ""
  if (/[?#]/.test(path)) return fail("a query or fragment is not allowed")
  for (const form of forms) {
    const segments = form.pattern.exec(path)
    if (segments === null) continue
    const decoded = segments.slice(1).map((segment) => segment === undefined ? "default" : decodeSegment(segment))
    if (decoded.includes(undefined)) return fail("a path segment is not percent-encoded UTF-8")
    return Result.succeed(form.make(trustDomain, decoded as Array<string>))
  }
  if (path !== "") return fail("the path is none of the forms for services, agents, gateways or servers")
  if (!trustDomain.includes(".")) return fail("a signing identity needs a dot in its trust domain")
  return Result.succeed({ _tag: "Signing", trustDomain })
}

/** Back to text; `parse` of it gives the same id. */
export const format = (id: SpiffeId): string => `spiffe://${id.trustDomain}${path(id)}`

/** The name for people: `web`, or `team/web` outside the default namespace. Identities that are not services keep their URI. */
export const display = (id: SpiffeId): string =>
  id._tag !== "Service"
    ? format(id)
    : [
      ...(id.partition === "default" ? [] : [id.partition]),
      ...(id.partition === "default" && id.namespace === "default" ? [] : [id.namespace]),
      id.service
    ].join("/")

const segment = "([^/]+)"
const partition = `(?:/ap/${segment})?`

/** Tried in this order, as `ParseCertURI` does. */
const forms: ReadonlyArray<{
  readonly pattern: RegExp
  readonly make: (trustDomain: string, segments: ReadonlyArray<string>) => SpiffeId
}> = [
  {
    pattern: new RegExp(`^${partition}/ns/${segment}/dc/${segment}/svc/${segment}$`),
    make: (trustDomain, s) => ({
      _tag: "Service",
      trustDomain,
      partition: s[0]!,
      namespace: s[1]!,
      datacenter: s[2]!,
      service: s[3]!
    })
  },
  {
    pattern: new RegExp(`^${partition}/agent/client/dc/${segment}/id/${segment}$`),
    make: (trustDomain, s) => ({ _tag: "Agent", trustDomain, partition: s[0]!, datacenter: s[1]!, node: s[2]! })
  },
  {
    pattern: new RegExp(`^${partition}/gateway/mesh/dc/${segment}$`),
    make: (trustDomain, s) => ({ _tag: "MeshGateway", trustDomain, partition: s[0]!, datacenter: s[1]! })
  },
  {
    pattern: new RegExp(`^/agent/server/dc/${segment}$`),
    make: (trustDomain, s) => ({ _tag: "Server", trustDomain, datacenter: s[0]! })
  }
]

const decodeSegment = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const path = (id: SpiffeId): string => {
  switch (id._tag) {
    case "Service":
      return `${inPartition(id.partition)}/ns/${enc(id.namespace)}/dc/${enc(id.datacenter)}/svc/${enc(id.service)}`
    case "Agent":
      return `${inPartition(id.partition)}/agent/client/dc/${enc(id.datacenter)}/id/${enc(id.node)}`
    case "MeshGateway":
      return `${inPartition(id.partition)}/gateway/mesh/dc/${enc(id.datacenter)}`
    case "Server":
      return `/agent/server/dc/${enc(id.datacenter)}`
    case "Signing":
      return ""
  }
}

const inPartition = (name: string): string => name === "default" ? "" : `/ap/${enc(name)}`

const enc = encodeURIComponent
