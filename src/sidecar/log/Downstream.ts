/** What access logs say of the client of a request, or of a connection. */
import * as Lines from "../../http/h1/Lines.ts"
import type * as Substitution from "../../observe/Substitution.ts"

export interface Downstream {
  /** `address:port` where it has connected to. */
  readonly local: string
  /** Its own `address:port`. */
  readonly direct: string
  /** The same, or that of the client behind it. */
  readonly remote: string
  /** SPIFFE ids of both sides; undefined: the client is no mesh. */
  readonly peer?: string | undefined
  readonly identity?: string | undefined
}

/** Undefined: it is no operator of these, or does not apply. */
export const valueOf = (
  { direct, identity, local, peer, remote }: Downstream,
  name: Substitution.Operator
): string | number | undefined => {
  switch (name) {
    case "DOWNSTREAM_LOCAL_ADDRESS":
      return local
    case "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT":
      return Lines.host(local)
    case "DOWNSTREAM_LOCAL_PORT":
      return portOf(local)
    case "DOWNSTREAM_REMOTE_ADDRESS":
      return remote
    case "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":
      return Lines.host(remote)
    case "DOWNSTREAM_REMOTE_PORT":
      return portOf(remote)
    case "DOWNSTREAM_DIRECT_REMOTE_PORT":
      return portOf(direct)
    case "DOWNSTREAM_DIRECT_REMOTE_ADDRESS":
      return direct
    case "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT":
      return Lines.host(direct)
    case "DOWNSTREAM_PEER_URI_SAN":
      return peer
    case "DOWNSTREAM_LOCAL_URI_SAN":
      return identity
    default:
      return undefined
  }
}

/** What they say of the connection to an instance. Where there is none, it has no address on this side. */
export const ofUpstream = (
  name: Substitution.Operator,
  upstream: { readonly local: string | undefined; readonly remote: string } | undefined
): string | number | undefined => {
  if (upstream?.local === undefined) return undefined
  switch (name) {
    case "UPSTREAM_LOCAL_ADDRESS":
      return upstream.local
    case "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT":
      return Lines.host(upstream.local)
    case "UPSTREAM_LOCAL_PORT":
      return portOf(upstream.local)
    case "UPSTREAM_REMOTE_ADDRESS":
      return upstream.remote
    case "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":
      return Lines.host(upstream.remote)
    case "UPSTREAM_REMOTE_PORT":
      return portOf(upstream.remote)
    default:
      return undefined
  }
}

const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(":") + 1))
