/** One TLS handshake over loopback, and what each side saw of the other. */
import type * as Net from "node:net"
import * as Tls from "node:tls"
import { Effect, Redacted, Result } from "effect"
import * as Certificate from "../../src/identity/Certificate.ts"
import type * as TrustBundle from "../../src/identity/TrustBundle.ts"
import * as PeerVerification from "../../src/tls/PeerVerification.ts"
import * as PresentedChain from "../../src/tls/PresentedChain.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import type * as SpiffeRules from "../../src/tls/SpiffeRules.ts"
import * as Certificates from "./certificates.ts"

export interface Seen {
  /** The client, as the server sees it. */
  readonly client: PeerVerification.Presented
  /** The server, as the client sees it. */
  readonly server: PeerVerification.Presented
}

/** Material from any certificate, also one that is not the leaf of a service. */
export const material = (
  issued: Certificates.Issued,
  roots: TrustBundle.TrustBundle,
  spiffe?: SpiffeRules.Extent
): SecureContexts.Material =>
  Result.getOrThrow(SecureContexts.material(
    {
      identity: Certificates.service("any"),
      certificate: Result.getOrThrow(Certificate.parse(issued.certPem, "a test certificate")),
      chainPem: issued.chainPem,
      keyPem: Redacted.make(issued.keyPem)
    },
    roots,
    Date.now(),
    spiffe
  ))

export const handshake = (
  client: SecureContexts.Material,
  server: SecureContexts.Material,
  version?: Tls.SecureVersion
): Effect.Effect<Seen> =>
  Effect.callback((resume) => {
    let seenByServer: PeerVerification.Presented | undefined
    let seenByClient: PeerVerification.Presented | undefined
    const done = () => {
      if (seenByServer === undefined || seenByClient === undefined) return
      close()
      resume(Effect.succeed({ client: seenByServer, server: seenByClient }))
    }
    const listener = Tls.createServer({ ...server.server, requestCert: true, rejectUnauthorized: false })
    PresentedChain.keep(listener)
    listener.on("secureConnection", (socket) => {
      socket.on("error", () => {})
      seenByServer = presented(socket)
      done()
    })
    let socket: Tls.TLSSocket | undefined
    const close = () => {
      socket?.destroy()
      listener.close()
    }
    listener.listen(0, "127.0.0.1", () => {
      socket = Tls.connect({
        host: "127.0.0.1",
        port: (listener.address() as Net.AddressInfo).port,
        secureContext: client.client,
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
        ...(version === undefined ? {} : { maxVersion: version })
      })
      socket.on("error", () => {})
      socket.once("secureConnect", () => {
        seenByClient = presented(socket!)
        done()
      })
    })
    return Effect.sync(close)
  })

/** Complete before the socket is closed. */
const presented = (socket: Tls.TLSSocket): PeerVerification.Presented => {
  const seen = PeerVerification.presented(socket)
  const authorities = seen.authorities()
  return { ...seen, authorities: () => authorities }
}
