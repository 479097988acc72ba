/** What Node's objects remember of the caller: its identity in the socket, the claims of its tokens in the request. */
import type * as Http from "node:http"
import type * as Http2 from "node:http2"
import type { Duplex } from "node:stream"
import * as RequestChanges from "../../http/RequestChanges.ts"
import type * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as RequestAdmission from "../../inbound/http/RequestAdmission.ts"
import * as TokenAdmission from "../../inbound/http/TokenAdmission.ts"
import * as PeerIdentity from "../PeerIdentity.ts"

/** Takes the tokens out of a request, and keeps what they say in what the application has of it. */
export const applyTokens = (
  message: RequestChanges.Message,
  holder: Http.IncomingMessage | Http2.ServerHttp2Stream,
  { presented }: RequestAdmission.Admitted
): void => {
  if (presented.size === 0) return
  RequestChanges.apply(message, TokenAdmission.changes(presented))
  Object.assign(holder, { [tokensKey]: TokenAdmission.claims(presented) })
}

const tokensKey = Symbol("tokens")

interface Bearer {
  readonly [tokensKey]?: PeerIdentity.Peer["tokens"]
  readonly stream?: Bearer
}

/** The payloads of the tokens that were required of a request, by the name of their provider. */
export const tokensOf = (
  of: Http.IncomingMessage | Http2.Http2ServerRequest | Http2.ServerHttp2Stream
): PeerIdentity.Peer["tokens"] => {
  const bearer: Bearer & typeof of = of
  return bearer[tokensKey] ?? bearer.stream?.[tokensKey] ?? PeerIdentity.noTokens
}

/** Kept in the socket itself: what HTTP/2 shows of its socket has nothing else in common with it. */
const key = Symbol("peer")

interface Known {
  readonly [key]?: SpiffeId.Service
  readonly socket?: Known
  readonly session?: Known
}

export const rememberPeer = (socket: Duplex, peer: SpiffeId.Service): void => {
  if (!(key in socket)) Object.assign(socket, { [key]: peer })
}

/** A socket, a stream or session of HTTP/2, or a request. */
export type Conversation = Duplex | Http.IncomingMessage | Http2.Http2ServerRequest | Http2.Http2Session

/** Who is on the other side. */
export const peerOf = (of: Conversation): SpiffeId.Service | undefined => {
  const known: Known & Conversation = of
  return known[key] ?? known.socket?.[key] ?? known.session?.socket?.[key]
}
