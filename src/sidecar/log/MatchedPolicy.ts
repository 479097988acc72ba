/**
 * By what a caller was refused, as access logs have it. Consul makes policies of intentions: one of all that are about connections,
 * `consul-intentions-layer4`, and one of each that has permissions. Where the default is to deny, these only allow, and what is
 * refused matches none.
 */
import type * as Authorizer from "../../intention/Authorizer.ts"
import type * as Decision from "../../intention/Decision.ts"

export const details = (
  decision: Decision.Decision,
  authorizer: Pick<Authorizer.Authorizer, "defaultPolicy" | "intentions">
): string => `rbac_access_denied_matched_policy[${nameOf(decision, authorizer)}]`

const nameOf = (
  { because, by }: Decision.Decision,
  { defaultPolicy, intentions }: Pick<Authorizer.Authorizer, "defaultPolicy" | "intentions">
): string => {
  if (defaultPolicy === "deny" || by === undefined) return "none"
  if (because !== "permission") return "consul-intentions-layer4"
  // What says no more than the default is in no policy.
  const counted = intentions.filter(({ Action }) => Action !== defaultPolicy)
  const index = counted.indexOf(by.intention)
  return index < 0 ? "none" : `consul-intentions-layer7-${index}`
}
