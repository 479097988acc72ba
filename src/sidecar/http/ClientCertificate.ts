/**
 * The element of `x-forwarded-client-cert` that names a caller to the application, as Envoy writes it: made once for each
 * connection.
 */
import { createHash } from "node:crypto"
import type { TLSSocket } from "node:tls"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import * as PresentedChain from "../../tls/PresentedChain.ts"

/** Empty where there is no certificate to be seen. */
export const element = (socket: TLSSocket, own: SpiffeId.Service, caller: SpiffeId.Service): string => {
  const certificate = PresentedChain.certificateOf(socket)
  if (certificate === undefined) return ""
  const chain = [certificate, ...PresentedChain.following(certificate)]
  const pem = (certificates: typeof chain) => encodeURIComponent(certificates.map(String).join(""))
  const hash = createHash("sha256").update(certificate.raw).digest("hex")
  return `By=${SpiffeId.format(own)};Hash=${hash};Cert="${pem([certificate])}";Chain="${pem(chain)}";Subject="";URI=${
    SpiffeId.format(caller)
  }`
}
