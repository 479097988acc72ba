/** Judges requests of HTTP/2, and hands what is admitted to the application's server and to whatever listens to its sessions. */
import type * as Http2 from "node:http2"
import type * as HttpExchange from "../../http/HttpExchange.ts"
import * as RequestTarget from "../../http/RequestTarget.ts"
import type * as AdmittedExchange from "../../inbound/http/AdmittedExchange.ts"
import type * as HttpListener from "../../inbound/http/HttpListener.ts"
import type * as RefusalAnswer from "../../inbound/http/RefusalAnswer.ts"
import type * as RequestAdmission from "../../inbound/http/RequestAdmission.ts"
import type * as Application from "./Application.ts"
import * as Caller from "./Caller.ts"

type Listener = Pick<HttpListener.HttpListener, "judge" | "refusal">

/** Tells the listeners of one session of a stream. */
type Tell = (...details: ReadonlyArray<unknown>) => void

export const make = (listener: Listener, application: Application.Application) => {
  /** By session: who listens to it besides the mesh. */
  const listeners = new WeakMap<Http2.Http2Session, Tell>()

  const stream: AdmittedExchange.Handlers["stream"] = (request, exchange) => {
    const { headers, rawHeaders, stream } = request
    const target = headers[":path"]
    if (isGone(stream)) return
    // CONNECT has no path, and nothing that could be judged.
    if (target === undefined) return stream.respond({ ":status": 405 }, { endStream: true })
    const raw = { method: headers[":method"] ?? "", target, authority: undefined, rawHeaders }
    listener.judge(exchange, raw, (concluded) => {
      if (isGone(stream)) return
      if (concluded._tag !== "Admitted") return refuse(stream, listener.refusal(concluded, headers["content-type"]))
      settle(request, exchange, concluded)
      const { session } = stream
      const details = [stream, headers, request.flags, rawHeaders]
      application.announce("stream", ...details)
      if (session !== undefined) listeners.get(session)?.(...details)
    })
  }

  const session = (session: Http2.ServerHttp2Session) => {
    listeners.set(session, withhold(session))
    application.announce("session", session)
  }

  return { stream, session }
}

/** Whether the answer can no longer reach the caller. Node throws when it is given all the same. */
const isGone = (stream: Http2.ServerHttp2Stream): boolean => stream.closed || stream.destroyed

const refuse = (stream: Http2.ServerHttp2Stream, { body, headers, status }: RefusalAnswer.RefusalAnswer): void => {
  stream.respond({ ":status": status, ...headers }, { endStream: body === "" })
  if (body !== "") stream.end(body)
}

/** From here on the request is the one that was judged. */
const settle = (
  request: HttpExchange.StreamRequest,
  { connection }: AdmittedExchange.Exchange,
  admitted: RequestAdmission.Admitted
): void => {
  const { headers, rawHeaders, stream } = request
  const { path } = admitted.request
  Caller.rememberPeer(connection.socket, connection.caller)
  if (headers[":path"] !== path) RequestTarget.setRaw(rawHeaders, ":path", path)
  headers[":path"] = path
  Caller.applyTokens(request, stream, admitted)
}

/** Keeps streams from the session's later listeners until they have been judged: the function tells those listeners. */
const withhold = (session: Http2.ServerHttp2Session): Tell => {
  const ours = session.rawListeners("stream")
  const emit: Application.Announce = session.emit.bind(session)
  Object.assign(session, {
    emit: (event: string, ...details: ReadonlyArray<unknown>) => {
      if (event !== "stream") return emit(event, ...details)
      for (const listener of ours) Reflect.apply(listener, session, details)
      return true
    }
  })
  return (...details) => {
    if (session.listenerCount("stream") === ours.length) return
    for (const listener of session.rawListeners("stream")) {
      if (!ours.includes(listener)) Reflect.apply(listener, session, details)
    }
  }
}
