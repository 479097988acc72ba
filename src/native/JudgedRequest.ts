/** What becomes of a judged request: the application handles it and knows its caller, or the refusal is the answer. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as AdmittedExchange from "../inbound/http/AdmittedExchange.ts"
import type * as HttpListener from "../inbound/http/HttpListener.ts"
import type * as RefusalAnswer from "../inbound/http/RefusalAnswer.ts"
import * as RequestAdmission from "../inbound/http/RequestAdmission.ts"
import * as TokenAdmission from "../inbound/http/TokenAdmission.ts"
import * as Tracing from "../observe/Tracing.ts"
import * as PeerIdentity from "./PeerIdentity.ts"

type Listener = Pick<HttpListener.HttpListener, "service" | "refusal">

/** Tells the application, its middleware and the span what is known of an admitted request. */
export const handle = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  { service }: Listener
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const exchange = exchangeOf(request)
    if (exchange?.concluded?._tag !== "Admitted") return Effect.succeed(forbidden)
    const { concluded: { decision, presented }, connection: { caller, remote } } = exchange
    const traced = Tracing.current("server")
    if (traced !== undefined) describe(traced, caller, service(), exchange.concluded)
    return Effect.provideService(app, PeerIdentity.PeerIdentity, {
      caller,
      remote,
      decision,
      tokens: presented.size === 0 ? PeerIdentity.noTokens : TokenAdmission.claims(presented)
    })
  })

export const refuse = ({ refusal, service }: Listener): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest
> =>
  Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
    const exchange = exchangeOf(request)
    if (exchange?.concluded === undefined || exchange.concluded._tag === "Admitted") return forbidden
    const traced = Tracing.current("server")
    if (traced !== undefined) describe(traced, exchange.connection.caller, service(), exchange.concluded)
    return responseOf(refusal(exchange.concluded, request.headers["content-type"]))
  })

const exchangeOf = (request: HttpServerRequest.HttpServerRequest): AdmittedExchange.Exchange | undefined =>
  AdmittedExchange.of(NodeHttpServerRequest.toIncomingMessage(request))

/** For a request that does not come from the mesh, or has not been judged. */
const forbidden = HttpServerResponse.empty({ status: 403 })

const describe = (
  { span }: Tracing.Traced,
  caller: SpiffeId.Service,
  destination: string,
  admission: RequestAdmission.Concluded
): void => {
  span.attribute(Tracing.attributes.source, caller.service)
  span.attribute(Tracing.attributes.peer, SpiffeId.format(caller))
  span.attribute(Tracing.attributes.destination, destination)
  if (admission._tag !== "Admitted") {
    span.attribute(Tracing.attributes.refused, RequestAdmission.reasonOf(admission))
  }
}

const responseOf = ({ body, headers, status }: RefusalAnswer.RefusalAnswer): HttpServerResponse.HttpServerResponse =>
  body === "" ? HttpServerResponse.empty({ status, headers }) : HttpServerResponse.text(body, { status, headers })
