/**
 * What comes from the mesh, handed to a server of Node as if it had accepted it.
 *
 *     node:http, node:https, node:http2 ─▶ each request judged (HttpListener) ─▶ `request`, `upgrade` or `stream`
 *     any other                         ─▶ each connection judged (MeshListener) ─▶ `connection` or `secureConnection`
 *
 * The server's own settings for connections and TLS do not apply: HTTP has those of `limits`. Nothing is offered that the
 * server does not speak.
 */
import * as Http from "node:http"
import type * as Http2 from "node:http2"
import * as Https from "node:https"
import type * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { Effect, type Scope } from "effect"
import type * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as SecureContexts from "../../tls/SecureContexts.ts"
import type * as Intentions from "../../watch/Intentions.ts"
import type * as JwtProviders from "../../watch/JwtProviders.ts"
import type * as HttpConnections from "../../http/HttpConnections.ts"
import * as AdmittedExchange from "../../inbound/http/AdmittedExchange.ts"
import * as HttpExchange from "../../http/HttpExchange.ts"
import * as HttpListener from "../../inbound/http/HttpListener.ts"
import type * as Listening from "../../net/Listening.ts"
import * as MeshListener from "../../inbound/MeshListener.ts"
import * as PeerIdentity from "../PeerIdentity.ts"
import type * as RequestAdmission from "../../inbound/http/RequestAdmission.ts"
import * as RequestChanges from "../../http/RequestChanges.ts"
import * as RequestTarget from "../../http/RequestTarget.ts"
import * as TokenAdmission from "../../inbound/http/TokenAdmission.ts"

export type Server = Net.Server | Http.Server | Https.Server | Http2.Http2Server | Http2.Http2SecureServer

export type Options = Omit<HttpListener.Options, "protocols" | "streams">

/** Announces something to the server. It is a server's `emit`, which may be another one by now. */
export type Announce = (event: string, ...details: ReadonlyArray<unknown>) => boolean

/** What a server speaks, best first; undefined: not HTTP. */
export const protocolsOf = (server: Server): ReadonlyArray<HttpConnections.Protocol> | undefined => {
  if (server instanceof Http.Server || server instanceof Https.Server) return ["http/1.1"]
  // Servers of HTTP/2 have no class that could be asked for. With `allowHTTP1` they have its timeouts.
  if ("updateSettings" in server) return "headersTimeout" in server ? ["h2", "http/1.1"] : ["h2"]
  return undefined
}

/** Serves until the scope closes: then clients are sent elsewhere, and what is at hand has `drain` to finish. */
export const make = (
  server: Server,
  announce: Announce,
  options: Options
): Effect.Effect<
  { readonly port: number },
  Listening.ListenError,
  SecureContexts.SecureContexts | Intentions.Intentions | JwtProviders.JwtProviders | Scope.Scope
> => {
  const protocols = protocolsOf(server)
  return protocols === undefined
    ? makeForConnections(server, announce, options)
    : makeForRequests(server, announce, options, protocols)
}

const makeForConnections = (server: Server, announce: Announce, options: Options) => {
  const event = server instanceof Tls.Server ? "secureConnection" : "connection"
  return MeshListener.make({
    ...options,
    host: options.host ?? "0.0.0.0",
    handle: ({ caller, socket }) =>
      Effect.callback<void>((resume) => {
        if (socket.destroyed) return resume(Effect.void)
        socket.once("close", () => resume(Effect.void))
        socket.allowHalfOpen = "allowHalfOpen" in server && server.allowHalfOpen === true
        rememberPeer(socket, caller)
        // Ours are not held against the application, which Node warns of a leak otherwise.
        socket.setMaxListeners(socket.getMaxListeners() + socket.listenerCount("close"))
        announce(event, socket)
      })
  })
}

const makeForRequests = Effect.fnUntraced(function*(
  server: Server,
  announce: Announce,
  options: Options,
  protocols: ReadonlyArray<HttpConnections.Protocol>
) {
  const listener = yield* HttpListener.make({ ...options, protocols, streams: true })

  const judge = (
    request: Http.IncomingMessage,
    exchange: AdmittedExchange.Exchange,
    then: (concluded: RequestAdmission.Concluded) => void
  ): void =>
    listener.judge(exchange, {
      ...RequestTarget.parse(request.url ?? ""),
      method: request.method ?? "",
      rawHeaders: request.rawHeaders
    }, then)
  /** What is to be answered instead of handing the request on, which from then on is the one that was judged. */
  const refusal = (
    request: Http.IncomingMessage,
    exchange: AdmittedExchange.Exchange,
    concluded: RequestAdmission.Concluded
  ): RequestAdmission.Answer | undefined => {
    if (concluded._tag !== "Admitted") {
      return listener.refusal(concluded, request.headers["content-type"])
    }
    rememberPeer(exchange.connection.socket, exchange.connection.caller)
    RequestTarget.settle(request, concluded.request.path, RequestTarget.parse(request.url ?? "").authority)
    applyTokens(request, request, concluded)
    return undefined
  }

  const request: AdmittedExchange.Handlers["request"] = (request, response) => {
    if (!(request instanceof Http.IncomingMessage) || !(response instanceof Http.ServerResponse)) return
    const exchange = AdmittedExchange.of(request)
    if (exchange === undefined) return void response.writeHead(403).end()
    judge(request, exchange, (concluded) => answer(request, response, exchange, concluded))
  }
  const answer = (
    request: Http.IncomingMessage,
    response: Http.ServerResponse,
    exchange: AdmittedExchange.Exchange,
    concluded: RequestAdmission.Concluded
  ): void => {
    const refused = refusal(request, exchange, concluded)
    if (refused === undefined) {
      if (exchange.asks && server.listenerCount("checkContinue") > 0) {
        return void announce("checkContinue", request, response)
      }
      exchange.proceed()
      return void announce("request", request, response)
    }
    response.writeHead(refused.status, refused.headers)
    response.end(refused.body)
  }

  const upgrade = (request: Http.IncomingMessage, socket: Duplex, head: Buffer) => {
    const exchange = AdmittedExchange.of(request)
    if (exchange === undefined) return void socket.destroy()
    judge(request, exchange, (concluded) => answerUpgrade(request, socket, head, exchange, concluded))
  }
  const answerUpgrade = (
    request: Http.IncomingMessage,
    socket: Duplex,
    head: Buffer,
    exchange: AdmittedExchange.Exchange,
    concluded: RequestAdmission.Concluded
  ): void => {
    const refused = refusal(request, exchange, concluded)
    if (refused === undefined) return void announce("upgrade", request, socket, head)
    socket.end(format(refused), () => socket.destroy())
  }

  const stream: AdmittedExchange.Handlers["stream"] = (request, exchange) => {
    const { headers, rawHeaders, stream } = request
    const target = headers[":path"]
    if (isGone(stream)) return
    // CONNECT has no path, and nothing that could be judged.
    if (target === undefined) return stream.respond({ ":status": 405 }, { endStream: true })
    const raw = { method: headers[":method"] ?? "", target, authority: undefined, rawHeaders }
    listener.judge(exchange, raw, (concluded) => answerStream(request, exchange, concluded))
  }
  const answerStream = (
    request: HttpExchange.StreamRequest,
    exchange: AdmittedExchange.Exchange,
    concluded: RequestAdmission.Concluded
  ): void => {
    const { flags, headers, rawHeaders, stream } = request
    if (isGone(stream)) return
    if (concluded._tag !== "Admitted") {
      const refused = listener.refusal(concluded, headers["content-type"])
      stream.respond({ ":status": refused.status, ...refused.headers }, { endStream: refused.body === "" })
      if (refused.body !== "") stream.end(refused.body)
      return
    }
    rememberPeer(exchange.connection.socket, exchange.connection.caller)
    const { path } = concluded.request
    if (headers[":path"] !== path) RequestTarget.setRaw(rawHeaders, ":path", path)
    headers[":path"] = path
    applyTokens(request, stream, concluded)
    const { session } = stream
    announce("stream", stream, headers, flags, rawHeaders)
    if (session !== undefined) listeners.get(session)?.(stream, headers, flags, rawHeaders)
  }

  /** Whoever listens to a session, too, hears of a request once it has been judged. */
  const listeners = new WeakMap<Http2.Http2Session, (...details: ReadonlyArray<unknown>) => void>()
  const session = (session: Http2.ServerHttp2Session) => {
    const ours = session.rawListeners("stream")
    const emit: Announce = session.emit.bind(session)
    Object.assign(session, {
      emit: (event: string, ...details: ReadonlyArray<unknown>) => {
        if (event !== "stream") return emit(event, ...details)
        for (const listener of ours) Reflect.apply(listener, session, details)
        return true
      }
    })
    listeners.set(session, (...details) => {
      if (session.listenerCount("stream") === ours.length) return
      for (const listener of session.rawListeners("stream")) {
        if (!ours.includes(listener)) Reflect.apply(listener, session, details)
      }
    })
    announce("session", session)
  }
  const attach = (upgrades: boolean) =>
    listener.attach({ request, upgrade: upgrades ? upgrade : undefined, stream, session })
  const listened = (event: string | symbol) => {
    if (event === "upgrade") attach(true)
  }
  attach(server.listenerCount("upgrade") > 0)
  server.on("newListener", listened)
  yield* Effect.addFinalizer(() =>
    Effect.andThen(listener.drain, Effect.sync(() => server.removeListener("newListener", listened)))
  )
  return { port: listener.port }
})

/** Whether nobody waits for the answer any more. Node throws at those who give it all the same. */
const isGone = (stream: Http2.ServerHttp2Stream): boolean => stream.closed || stream.destroyed

const format = ({ body, headers, status }: RequestAdmission.Answer): string => {
  const all = { ...headers, "content-length": String(Buffer.byteLength(body)), connection: "close" }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${Http.STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`
}

/** Takes the tokens out of a request, and keeps what they say in what the application has of it. */
const applyTokens = (
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

export const rememberPeer = (socket: Net.Socket, peer: SpiffeId.Service): void => {
  if (!(key in socket)) Object.assign(socket, { [key]: peer })
}

/** A socket, a stream or session of HTTP/2, or a request. */
export type Conversation = Duplex | Http.IncomingMessage | Http2.Http2ServerRequest | Http2.Http2Session

/** Who is on the other side. */
export const peerOf = (of: Conversation): SpiffeId.Service | undefined => {
  const known: Known & Conversation = of
  return known[key] ?? known.socket?.[key] ?? known.session?.socket?.[key]
}
