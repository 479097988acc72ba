/** Judges requests of HTTP/1.1, and hands what is admitted to the application's server: `request`, `checkContinue`, `upgrade`. */
import * as Http from "node:http"
import type { Duplex } from "node:stream"
import * as RequestTarget from "../../http/RequestTarget.ts"
import * as AdmittedExchange from "../../inbound/http/AdmittedExchange.ts"
import type * as HttpListener from "../../inbound/http/HttpListener.ts"
import type * as RefusalAnswer from "../../inbound/http/RefusalAnswer.ts"
import type * as Application from "./Application.ts"
import * as Caller from "./Caller.ts"

type Listener = Pick<HttpListener.HttpListener, "judge" | "refusal">

/** What the application receives, once it has been judged. */
export const request =
  (listener: Listener, application: Application.Application): AdmittedExchange.Handlers["request"] =>
  (request, response) => {
    if (!(request instanceof Http.IncomingMessage) || !(response instanceof Http.ServerResponse)) return
    const exchange = AdmittedExchange.of(request)
    if (exchange === undefined) return void response.writeHead(403).end()
    judge(listener, request, exchange, (refused) => {
      if (refused !== undefined) {
        response.writeHead(refused.status, refused.headers)
        return void response.end(refused.body)
      }
      if (exchange.asks && application.expects("checkContinue")) {
        return void application.announce("checkContinue", request, response)
      }
      exchange.proceed()
      application.announce("request", request, response)
    })
  }

export const upgrade =
  (listener: Listener, application: Application.Application) =>
  (request: Http.IncomingMessage, socket: Duplex, head: Buffer): void => {
    const exchange = AdmittedExchange.of(request)
    if (exchange === undefined) return void socket.destroy()
    judge(listener, request, exchange, (refused) => {
      if (refused === undefined) return void application.announce("upgrade", request, socket, head)
      socket.end(format(refused), () => socket.destroy())
    })
  }

/** Tells how to refuse the request. Without a refusal, the request is now the one that was judged. */
const judge = (
  listener: Listener,
  request: Http.IncomingMessage,
  exchange: AdmittedExchange.Exchange,
  then: (refused: RefusalAnswer.RefusalAnswer | undefined) => void
): void => {
  const target = RequestTarget.parse(request.url ?? "")
  const raw = { ...target, method: request.method ?? "", rawHeaders: request.rawHeaders }
  listener.judge(exchange, raw, (concluded) => {
    if (concluded._tag !== "Admitted") return then(listener.refusal(concluded, request.headers["content-type"]))
    Caller.rememberPeer(exchange.connection.socket, exchange.connection.caller)
    RequestTarget.settle(request, concluded.request.path, target.authority)
    Caller.applyTokens(request, request, concluded)
    then(undefined)
  })
}

const format = ({ body, headers, status }: RefusalAnswer.RefusalAnswer): string => {
  const all = { ...headers, "content-length": String(Buffer.byteLength(body)), connection: "close" }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${Http.STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`
}
