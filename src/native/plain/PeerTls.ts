/** Options of TLS for clients that connect by themselves. Each handshake has the certificate and the roots of its time. */
import type * as Tls from "node:tls"
import { Result } from "effect"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import * as DialError from "../../outbound/DialError.ts"
import type * as Resolver from "../../outbound/Resolver.ts"
import * as PeerVerification from "../../tls/PeerVerification.ts"
import type * as SecureContexts from "../../tls/SecureContexts.ts"

/** With what keeps agents from resuming sessions, which would not be verified. */
export type Options =
  & Required<Pick<Tls.ConnectionOptions, "secureContext" | "rejectUnauthorized" | "checkServerIdentity">>
  & {
    readonly maxCachedSessions: 0
  }

export const make = (
  contexts: SecureContexts.SecureContexts["Service"]
): (request: Resolver.Request) => Options => {
  // What clients keep of their options stays as it is, hence an object that changes within.
  const secureContext: Tls.SecureContext = {
    get context() {
      return contexts.current().client.context
    }
  }
  const expected = ({ datacenter, service }: Resolver.Request): SpiffeId.Service => {
    const { leaf, roots } = contexts.current()
    return SpiffeId.service({
      trustDomain: roots.trustDomain,
      datacenter: datacenter ?? leaf.identity.datacenter,
      service
    })
  }
  return (request) => ({
    secureContext,
    rejectUnauthorized: true,
    maxCachedSessions: 0,
    checkServerIdentity: (_, certificate) => {
      const presented = PeerVerification.presentedTo(certificate)
      const peer = PeerVerification.dialler(presented, expected(request), contexts.current())
      return Result.isSuccess(peer) ? undefined : DialError.ofRefusal(peer.failure, "the other side")
    }
  })
}
