/**
 * What holds where no intention decides, as an agent is configured: `default_intention_policy`, or else the default of its
 * ACL system. Both are settings of the agent, so only the agent itself can tell, and only to those who may read it.
 */
import { Effect, Schema } from "effect"
import type * as Agent from "./Agent.ts"
import type * as ConsulClient from "./ConsulClient.ts"
import * as ConsulError from "./ConsulError.ts"

export type DefaultPolicy = "allow" | "deny"

const Word = Schema.Literals(["allow", "deny"])
const isWord = Schema.is(Word)

/**
 * Undefined: not ours to read. An agent that does not know the token has said nothing: that is a failure, and may pass. The default of the ACL system, which every answer carries, is no substitute: the other setting
 * wins over it.
 */
export const ask = (
  consul: ConsulClient.ConsulClient["Service"]
): Effect.Effect<DefaultPolicy | undefined, ConsulError.ConsulError> =>
  consul.call("GET /v1/agent/self", (api) => api.agent.self({})).pipe(
    Effect.map(({ body, headers }) => of(body, headers["x-consul-default-acl-policy"], consul.datacenter)),
    Effect.catchIf(ConsulError.isRefused, () => Effect.undefined)
  )

/** By what an agent says about itself. One in another datacenter than the one that is asked about says nothing. */
export const of = (
  { Config, DebugConfig }: Agent.Self,
  aclDefault: DefaultPolicy | undefined,
  datacenter?: string
): DefaultPolicy | undefined => {
  if (datacenter !== undefined && datacenter !== Config.Datacenter) return undefined
  const settings = DebugConfig["ACLResolverSettings"]
  const words: ReadonlyArray<unknown> = [
    DebugConfig["DefaultIntentionPolicy"],
    aclDefault,
    // Agents that do not send the header.
    typeof settings === "object" && settings !== null && "ACLDefaultPolicy" in settings
      ? settings["ACLDefaultPolicy"]
      : DebugConfig["ACLDefaultPolicy"]
  ]
  return words.find(isWord)
}
