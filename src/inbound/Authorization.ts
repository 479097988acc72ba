/**
 * Who says whether a connection may be opened: the intentions that are watched, or the agent, asked about each connection
 * (`POST /v1/agent/connect/authorize`), as Consul's own SDK does. For what the latter costs, and what it does not look at,
 * see docs/decisions/0007-asking-the-agent.md.
 *
 * Nobody has to provide it: without it intentions decide.
 */
import type { X509Certificate } from "node:crypto"
import { Context, type Duration, Effect, Layer, Result, Schema, Semaphore } from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as Certificate from "../identity/Certificate.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as Audit from "../intention/Audit.ts"
import * as Authorizer from "../intention/Authorizer.ts"
import * as Decision from "../intention/Decision.ts"
import type * as Refusal from "../tls/Refusal.ts"
import type * as SecureContexts from "../tls/SecureContexts.ts"
import * as Intentions from "../watch/Intentions.ts"
import * as Watched from "../watch/Watched.ts"

/** A caller as its certificate has it. */
export interface Question {
  readonly caller: SpiffeId.Service
  /** Lower-case hex in pairs, separated by colons. */
  readonly serial: string
}

/** What to ask about a caller of this mesh: the agent leaves the trust domain to whoever asks. */
export const question = (
  caller: SpiffeId.Service,
  { serialNumber }: Pick<X509Certificate, "serialNumber">,
  { roots }: Pick<SecureContexts.Material, "roots">
): Result.Result<Question, Refusal.Refusal> =>
  caller.trustDomain === roots.trustDomain
    ? Result.succeed({ caller, serial: Certificate.colonHex(serialNumber) })
    : Result.fail({
      _tag: "ForeignTrustDomain",
      presented: SpiffeId.format(caller),
      expected: roots.trustDomain
    })

/** The agent could not say whether `caller` may connect. New connections are refused until it can. */
export class AuthorizationUnavailable extends Schema.TaggedError<AuthorizationUnavailable>()(
  "AuthorizationUnavailable",
  { caller: Schema.String, why: Schema.String }
) {
  override readonly message = `the agent can not be asked about ${this.caller}: ${this.why}`
}

export interface Asked {
  /** The answer, within so many milliseconds, those in line included: few questions are asked at a time. */
  readonly ask: (question: Question, withinMillis: number) => Effect.Effect<Decision.Decision, AuthorizationUnavailable>
}

/** Absent: the intentions decide. */
export const Authorization = Context.Reference<Asked | undefined>("effect-mesh/native/Authorization", {
  defaultValue: () => undefined
})

/** For a service that must not inherit another one's way. */
export const layerCached: Layer.Layer<never> = Layer.succeed(Authorization, undefined)

export interface Options {
  /** Whom callers connect to. */
  readonly service: string
  readonly audit?: Audit.Scope | undefined
  /** How long the agent has for one answer. Default: 5 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * Questions to one agent at a time, however many services of this process ask: half of the client's connections for brief
 * requests, so that heartbeats do not stand in line behind a flood of callers.
 */
const concurrency = 8

/** Needs `service:write` on the service. Watches no intentions: in their place stands what `standIn` says. */
export const layerAsked = (options: Options): Layer.Layer<Intentions.Intentions, never, ConsulClient.ConsulClient> =>
  Layer.mergeAll(
    Layer.effect(Authorization, asked(options)),
    Layer.effect(
      Intentions.Intentions,
      Effect.as(
        Intentions.warnOfAudit(options.audit ?? Audit.nowhere, options.service),
        Watched.constant("the intentions", standIn(options.service))
      )
    )
  )

const asked = Effect.fnUntraced(function*({ audit = Audit.nowhere, service, timeout = "5 seconds" }: Options) {
  const consul = yield* ConsulClient.ConsulClient
  const turns = yield* consul.share("questions to authorize", Semaphore.make(concurrency))
  const audited = Audit.isOn(audit, service)

  const request = ({ caller, serial }: Question) =>
    consul.call("POST /v1/agent/connect/authorize", (api) =>
      api.agent.authorize({
        query: {},
        payload: { Target: service, ClientCertURI: SpiffeId.format(caller), ClientCertSerial: serial }
      }), timeout).pipe(
        Effect.map(({ body }) => verdict(body.Authorized, body.Reason)),
        // It will not have this caller at all: one of another partition.
        Effect.catchReason("ConsulError", "InvalidRequest", ({ body }) => Effect.succeed(verdict(false, body)))
      )

  const ask: Asked["ask"] = (question, withinMillis) => {
    const unavailable = (why: string) =>
      new AuthorizationUnavailable({ caller: SpiffeId.display(question.caller), why })
    const answer = Semaphore.withPermit(turns, request(question)).pipe(
      Effect.mapError(({ message }) => unavailable(message)),
      Effect.timeoutOrElse({
        duration: Math.max(0, withinMillis),
        orElse: () => Effect.fail(unavailable(noTime))
      })
    )
    return audited
      ? Effect.catch(
        Effect.map(answer, Audit.letThrough),
        ({ message }) => Effect.succeed(Audit.letThrough(verdict(false, message)))
      )
      : answer
  }
  return { ask }
})

const noTime = "it did not answer within the time that a connection has to be admitted. Check the agent's health"

const verdict = (allowed: boolean, reason: string) =>
  Decision.make(allowed, "agent", undefined, undefined, reason.trim())

/** Lets nobody in who was not asked about, and then refuses nothing: permissions are beyond what the agent judges. */
const standIn = (service: string): Authorizer.Authorizer => ({
  ...Authorizer.compile({ destination: { service }, trustDomain: "", intentions: [], defaultPolicy: "deny" }),
  connection: () => notAsked,
  request: () => wasAsked
})

const notAsked = verdict(false, "it has to be asked about each connection")
const wasAsked = verdict(true, "it let the connection in")
