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
import * as Tls from "node:tls"
import { Effect, type Scope } from "effect"
import type * as HttpConnections from "../../http/HttpConnections.ts"
import * as HttpListener from "../../inbound/http/HttpListener.ts"
import * as MeshListener from "../../inbound/MeshListener.ts"
import type * as Listening from "../../net/Listening.ts"
import type * as SecureContexts from "../../tls/SecureContexts.ts"
import type * as Intentions from "../../watch/Intentions.ts"
import type * as JwtProviders from "../../watch/JwtProviders.ts"
import type * as MeshDefaults from "../../watch/MeshDefaults.ts"
import type * as Application from "./Application.ts"
import * as Caller from "./Caller.ts"
import * as Http1Requests from "./Http1Requests.ts"
import * as Http2Requests from "./Http2Requests.ts"

export type Server = Net.Server | Http.Server | Https.Server | Http2.Http2Server | Http2.Http2SecureServer

export type Options = Omit<HttpListener.Options, "protocols" | "streams">

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
  announce: Application.Announce,
  options: Options
): Effect.Effect<
  { readonly port: number },
  Listening.ListenError,
  | SecureContexts.SecureContexts
  | Intentions.Intentions
  | JwtProviders.JwtProviders
  | MeshDefaults.MeshDefaults
  | Scope.Scope
> => {
  const protocols = protocolsOf(server)
  return protocols === undefined
    ? makeForConnections(server, announce, options)
    : makeForRequests(server, announce, options, protocols)
}

const makeForConnections = (server: Server, announce: Application.Announce, options: Options) => {
  const event = server instanceof Tls.Server ? "secureConnection" : "connection"
  return MeshListener.make({
    ...options,
    host: options.host ?? "0.0.0.0",
    handle: ({ caller, socket }) =>
      Effect.callback<void>((resume) => {
        if (socket.destroyed) return resume(Effect.void)
        socket.once("close", () => resume(Effect.void))
        socket.allowHalfOpen = "allowHalfOpen" in server && server.allowHalfOpen === true
        Caller.rememberPeer(socket, caller)
        // Ours are not held against the application, which Node warns of a leak otherwise.
        socket.setMaxListeners(socket.getMaxListeners() + socket.listenerCount("close"))
        announce(event, socket)
      })
  })
}

const makeForRequests = Effect.fnUntraced(function*(
  server: Server,
  announce: Application.Announce,
  options: Options,
  protocols: ReadonlyArray<HttpConnections.Protocol>
) {
  const listener = yield* HttpListener.make({ ...options, protocols, streams: true })
  const application: Application.Application = { announce, expects: (event) => server.listenerCount(event) > 0 }
  const handlers = {
    request: Http1Requests.request(listener, application),
    ...Http2Requests.make(listener, application)
  }
  const upgrade = Http1Requests.upgrade(listener, application)
  // Without a listener for upgrades, Node hands them on as requests.
  const attach = (upgrades: boolean) => listener.attach({ ...handlers, upgrade: upgrades ? upgrade : undefined })
  const listened = (event: string | symbol) => {
    if (event === "upgrade") attach(true)
  }
  attach(application.expects("upgrade"))
  server.on("newListener", listened)
  yield* Effect.addFinalizer(() =>
    Effect.andThen(listener.drain, Effect.sync(() => server.removeListener("newListener", listened)))
  )
  return { port: listener.port }
})
