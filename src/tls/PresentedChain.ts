/**
 * The certificates that a client sent after its own. Node reads them away at the end of a handshake, as it looks whether there
 * is a certificate at all (nodejs/node#65579, seen in 24.21), so that they have to be taken before that: at the event `secure`
 * of a socket that a server first shows with `keylog`. What that event is for, the secrets, is not looked at.
 */
import type { X509Certificate } from "node:crypto"
import type { Server, TLSSocket } from "node:tls"

const taken = new WeakMap<TLSSocket, X509Certificate | undefined>()

/** From now on the certificates of clients are kept for `certificateOf`. */
export const keep = (server: Server): void => {
  server.on("keylog", (_, socket) => {
    if (taken.has(socket)) return
    taken.set(socket, undefined)
    socket.prependOnceListener("secure", () => taken.set(socket, socket.getPeerX509Certificate()))
  })
}

/** What the other side has presented, parsed by the platform. */
export const certificateOf = (socket: TLSSocket): X509Certificate | undefined =>
  taken.get(socket) ?? socket.getPeerX509Certificate()

/** What came after it, in that order: not checked to have anything to do with it. */
export const following = (certificate: X509Certificate | undefined): ReadonlyArray<X509Certificate> => {
  const rest: Array<X509Certificate> = []
  for (let next = certificate?.issuerCertificate; next !== undefined; next = next.issuerCertificate) rest.push(next)
  return rest
}
