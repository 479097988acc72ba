/**
 * One side of a pair of plain `node:http` and `node:https` proxies: the same certificates and cipher suites, kept connections,
 * a request id where there is none, and the caller's name for the application. No routes, no policy, no retries.
 */
import { constants, randomUUID } from "node:crypto"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Net from "node:net"
import type { TLSSocket } from "node:tls"
import * as Pair from "../relay/Pair.ts"

/** Of one connection only: those are not passed on. */
const hops = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection", "te"])

const passedOn = (headers: Http.IncomingHttpHeaders): Http.OutgoingHttpHeaders => {
  const result: Http.OutgoingHttpHeaders = {}
  for (const name in headers) if (!hops.has(name)) result[name] = headers[name]
  return result
}

/** The caller, by its connection: a certificate is written down once. */
const callers = new WeakMap<object, string>()

const callerOf = (socket: TLSSocket): string => {
  const known = callers.get(socket)
  if (known !== undefined) return known
  const { fingerprint256, raw, subjectaltname = "" } = socket.getPeerCertificate()
  const caller = `Hash=${fingerprint256.replaceAll(":", "").toLowerCase()};Cert="${
    encodeURIComponent(raw.toString("base64"))
  }";${subjectaltname.replace("URI:", "URI=")}`
  callers.set(socket, caller)
  return caller
}

type Send = (options: Http.RequestOptions, answered: (answer: Http.IncomingMessage) => void) => Http.ClientRequest

const handler = (send: Send, change: (headers: Http.OutgoingHttpHeaders, socket: Net.Socket) => void) =>
(
  request: Http.IncomingMessage,
  response: Http.ServerResponse
): void => {
  const headers = passedOn(request.headers)
  change(headers, request.socket)
  const onward = send({ method: request.method, path: request.url, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, passedOn(answer.headers))
    answer.pipe(response)
  })
  onward.on("error", () => response.headersSent ? response.destroy() : response.writeHead(502).end())
  request.pipe(onward)
}

const inbound = (side: Pair.Side, tls: Https.ServerOptions): Http.Server => {
  const agent = new Http.Agent({ keepAlive: true })
  const to = { host: "127.0.0.1", port: side.target, agent }
  return Https.createServer(
    { ...tls, requestCert: true, rejectUnauthorized: true, noDelay: true },
    handler((options, answered) => Http.request({ ...to, ...options }, answered), (headers, socket) => {
      headers["x-forwarded-client-cert"] = callerOf(socket as TLSSocket)
    })
  )
}

const outbound = (side: Pair.Side, tls: Https.AgentOptions): Http.Server => {
  const agent = new Https.Agent({ ...tls, keepAlive: true, checkServerIdentity: () => undefined })
  const to = { host: "127.0.0.1", port: side.target, agent }
  return Http.createServer(
    { noDelay: true },
    handler((options, answered) => Https.request({ ...to, ...options }, answered), (headers) => {
      headers["x-request-id"] ??= randomUUID()
    })
  )
}

Pair.serve((side) =>
  new Promise((resolve) => {
    const tls = {
      cert: side.chainPem,
      key: side.keyPem,
      ca: side.rootPem,
      ciphers: side.ciphers,
      secureOptions: constants.SSL_OP_NO_TICKET
    }
    const server = side.role === "inbound" ? inbound(side, tls) : outbound(side, tls)
    server.keepAliveTimeout = 0 // Kept as long as the other proxies keep theirs.
    server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () =>
      resolve((server.address() as Net.AddressInfo).port))
  })
)
