/** The two questions about a connection that the API answers: `authorize` by certificate, `check` by name. */
import { Result } from "effect"
import * as ApiError from "../consul/ApiError.ts"
import type * as CertificateAuthority from "../consul/CertificateAuthority.ts"
import * as SpiffeId from "../identity/SpiffeId.ts"
import * as Authorizer from "../intention/Authorizer.ts"
import type * as Intention from "../intention/Intention.ts"
import type * as AgentState from "./AgentState.ts"
import * as IntentionView from "./IntentionView.ts"

export const authorize = (
  state: AgentState.AgentState,
  asked: CertificateAuthority.AuthorizeRequest
): Result.Result<CertificateAuthority.AuthorizeResponse, ApiError.BadRequest> => {
  const refuse = (body: string) => Result.fail(new ApiError.BadRequest({ body }))
  if (asked.Target === "") return refuse("Target service must be specified")
  const parsed = SpiffeId.parse(asked.ClientCertURI)
  if (Result.isFailure(parsed)) return refuse("ClientCertURI not a valid Connect identifier")
  const caller = parsed.success
  if (caller._tag !== "Service") return refuse("ClientCertURI not a valid Service identifier")
  if (caller.partition !== "default") return refuse(`Mismatched partitions: "${caller.partition}" != "default"`)
  const decision = decide(state, caller, asked.Target, state.settings.defaultIntentionPolicy ?? aclDefault)
  return Result.succeed({
    Authorized: decision.allowed,
    Reason: decision.by === undefined
      ? state.settings.defaultIntentionPolicy === undefined
        ? "Default behavior configured by ACLs"
        : "Default intention policy"
      : explain(decision.by.intention)
  })
}

/**
 * Permissions can not be judged by names: they count as a no. The servers answer this one, and they know the ACL default
 * only: `default_intention_policy` is a setting of the agent, which `authorize` asks.
 */
export const check = (state: AgentState.AgentState, source: string, destination: string): boolean =>
  decide(
    state,
    SpiffeId.service({ trustDomain: state.roots.trustDomain, datacenter: state.settings.datacenter, service: source }),
    destination,
    aclDefault
  ).allowed

/** What holds where ACLs are off, as they are here. */
const aclDefault = "allow"

const decide = (
  state: AgentState.AgentState,
  caller: SpiffeId.Service,
  destination: string,
  defaultPolicy: Authorizer.DefaultPolicy
) =>
  Authorizer.compile({
    destination: { service: destination },
    // As in Consul: the caller of this endpoint has verified the certificate, and with it the trust domain.
    trustDomain: caller.trustDomain,
    intentions: IntentionView.match(state.config.all(), "destination", destination),
    defaultPolicy
  }).connection(caller)

const explain = (intention: Intention.Intention): string => {
  const edge =
    `${intention.SourceNS}/${intention.SourceName} => ${intention.DestinationNS}/${intention.DestinationName}`
  const id = intention.ID === undefined ? "" : `ID: ${intention.ID}, `
  const permissions = intention.Permissions ?? []
  return permissions.length > 0
    ? `Matched L7 intention: ${edge} (${id}Precedence: ${intention.Precedence}, Permissions: ${permissions.length})`
    : `Matched L4 intention: ${edge} (${id}Precedence: ${intention.Precedence}, Action: ${
      (intention.Action ?? "").toUpperCase()
    })`
}
