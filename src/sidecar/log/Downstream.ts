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
      return Number(local.slice(local.lastIndexOf(":") + 1))
    case "DOWNSTREAM_REMOTE_ADDRESS":
      return remote
    case "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":
      return Lines.host(remote)
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
