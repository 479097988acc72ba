/**
 * Requests on their way to another datacenter, as Consul's servers pass them on (`agent/consul/rpc.go`, `forwardDC`): the
 * answer is the other's own, its errors are said to come from there, and a line that is cut loses what waits on it.
 */
import { Effect } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import type * as AgentState from "../AgentState.ts"
import * as RequestChecks from "../http/RequestChecks.ts"

/** `own` answers what is not for another datacenter. */
export const answer = <E, R>(
  { federation, settings }: AgentState.AgentState,
  own: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  request: HttpServerRequest.HttpServerRequest
) =>
  Effect.gen(function*() {
    const here = settings.datacenter
    const there = RequestChecks.datacenterOf(request, federation.primary) ?? here
    if (there === here) return yield* own
    // Handlers run uninterruptible until the router lets go, which is inside.
    return yield* Effect.interruptible(elsewhere(federation, here, there))
  })

const elsewhere = Effect.fnUntraced(function*(
  { reach, wan }: AgentState.AgentState["federation"],
  here: string,
  there: string
) {
  const member = yield* reach(here, there)
  if (member === undefined) return text(RequestChecks.noPath.status, RequestChecks.noPath.body)
  return yield* Effect.raceFirst(
    Effect.tap(Effect.map(member.api, fromThere), wan.crossing(here, there)),
    Effect.as(wan.severed(here, there), text(500, `${callFailed}EOF`))
  )
})

const callFailed = "rpc error making call: "

/** Refusals of the servers, other than answers, have travelled through a call. */
const fromThere = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  const { body, headers, status } = response
  if (status !== 500 || body._tag !== "Uint8Array") return response
  return HttpServerResponse.text(`${callFailed}${new TextDecoder().decode(body.body)}`, {
    status,
    headers: { ...headers, "content-length": undefined },
    contentType: body.contentType
  })
}

const text = (status: number, body: string) =>
  HttpServerResponse.text(body, { status, contentType: "text/plain; charset=utf-8" })
