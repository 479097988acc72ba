/**
 * The certificates that a client sent after its own. Some versions of Node read them away at the end of a handshake, as they
 * look whether there is a certificate at all (nodejs/node#65579), so that there they have to be taken before that: at the event
 * `secure` of a socket that a server first shows with `keylog`. Node makes the secrets of each connection into buffers for that
 * event: nothing looks at them here, and versions that need no help are not asked for them.
 */
import type { X509Certificate } from "node:crypto"
import type { Server, TLSSocket } from "node:tls"

const taken = new WeakMap<TLSSocket, X509Certificate | undefined>()

/** Whether a Node drops them: 26.8, and 24 from 21 on until one is known that does not. A test asks the platform. */
export const isDropped = (node: string): boolean => {
  const [major = 0, minor = 0] = node.split(".").map(Number)
  return (major === 24 && minor >= 21) || (major === 26 && minor === 8)
}

/** From now on the certificates of clients are kept for `certificateOf`. */
export const keep = (server: Server): void => {
  if (!isDropped(process.versions.node)) return
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
