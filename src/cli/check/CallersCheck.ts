/** Who may call a service: its intentions and the default policy, as a sidecar compiles them. */
import { Effect, Result } from "effect"
import type * as ConsulClient from "../../consul/ConsulClient.ts"
import * as CompleteAnswer from "../../consul/CompleteAnswer.ts"
import * as DefaultPolicy from "../../consul/DefaultPolicy.ts"
import * as Authorizer from "../../intention/Authorizer.ts"
import * as Decision from "../../intention/Decision.ts"
import * as HttpRequest from "../../intention/HttpRequest.ts"
import type * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as Asking from "./Asking.ts"
import * as Finding from "./Finding.ts"

export interface Options {
  /** Of the proxy; else as the agent says. */
  readonly defaultPolicy: Authorizer.DefaultPolicy | undefined
  readonly trustDomain: string
}

/** The policy of a service, or why it is not known. */
export const read = Effect.fnUntraced(function*(
  { ask }: Asking.Asking,
  service: string,
  { defaultPolicy, trustDomain }: Options
): Effect.fn.Return<Result.Result<Authorizer.Authorizer, Finding.Finding>, never, ConsulClient.ConsulClient> {
  const failed = (error: Parameters<typeof Finding.ofError>[2]) =>
    Result.fail(
      Finding.ofError(`read the intentions about callers of ${service}`, `intentions:read on ${service}`, error)
    )
  const name = `GET /v1/connect/intentions/match?by=destination&name=${service}`
  const matches = yield* ask(
    name,
    (api) => api.connect.matchIntentions({ query: { by: "destination", name: [service] } })
  )
  if (Result.isFailure(matches)) return failed(matches.failure)
  const complete = yield* Effect.result(CompleteAnswer.body(name, "intentions:read", matches.success))
  if (Result.isFailure(complete)) return failed(complete.failure)
  const chain = yield* ask(
    `GET /v1/discovery-chain/${service}`,
    (api) => api.discoveryChain.read({ params: { service }, query: {} })
  )
  if (Result.isFailure(chain)) return failed(chain.failure)
  const self = yield* ask("GET /v1/agent/self", (api) => api.agent.self({}))
  const configured = Result.isSuccess(self)
    ? DefaultPolicy.of(self.success.body, self.success.headers["x-consul-default-acl-policy"])
    : undefined
  return Result.succeed(Authorizer.compile({
    destination: { service, protocol: chain.success.body.Chain.Protocol },
    trustDomain,
    intentions: complete.success[service] ?? [],
    defaultPolicy: defaultPolicy ?? configured ?? "deny"
  }))
})

/** About the service itself. */
export const ofService = (authorizer: Authorizer.Authorizer): ReadonlyArray<Finding.Finding> => {
  const { defaultPolicy, destination: { service }, intentions, warnings } = authorizer
  const some = `${intentions.length} intention${intentions.length === 1 ? " is" : "s are"} about callers of ${service}`
  return [
    intentions.length === 0 && defaultPolicy === "deny"
      ? Finding.doubt(
        `nobody may call ${service}: no intention is about it, and the default is deny`,
        `Allow callers: consul intention create CALLER ${service}`
      )
      : Finding.good(`${some}; the others are ${defaultPolicy === "allow" ? "allowed" : "denied"}`),
    ...warnings.map(({ message }) => Finding.doubt(message, "Correct the intention: effect-mesh policy lint"))
  ]
}

/** Whether `caller` may call it. */
export const ofCaller = (authorizer: Authorizer.Authorizer, caller: SpiffeId.Service): Finding.Finding => {
  const { service } = authorizer.destination
  const decision = authorizer.http
    ? authorizer.request(caller, HttpRequest.make("GET", "/"))
    : authorizer.connection(caller)
  const [who, what] = [`${caller.service} may call ${service}`, `${caller.service} may not call ${service}`]
  if (decision.allowed) return Finding.good(`${who}: ${Decision.explain(decision)}`)
  const byRequest = authorizer.http && decision.by?.action === "permissions"
  return byRequest
    ? Finding.doubt(
      `${what} with GET /: ${Decision.explain(decision)}. Other requests may be allowed`,
      `effect-mesh policy check ${caller.service} ${service} --method … --path …`
    )
    : Finding.broken(
      `${what}: ${Decision.explain(decision)}`,
      `If it should: consul intention create ${caller.service} ${service}`
    )
}
