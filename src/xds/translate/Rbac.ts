/**
 * Intentions as RBAC filters. Where the default is to allow, a filter says who is denied, else who is allowed: intentions that
 * repeat the default show only in what others leave to them (`agent/xds/rbac.go`).
 */
import { any } from "../proto/Encode.ts"
import type { Message } from "../proto/Messages.ts"
import * as Permissions from "./Permissions.ts"
import * as Principals from "./Principals.ts"
import * as Tokens from "./Tokens.ts"

export interface Options extends Principals.Callers {
  readonly defaultPolicy: "allow" | "deny"
  readonly issuers: Tokens.Issuers
}

/** Of connections. Intentions with permissions deny there: nobody could look at requests. */
export const network = (options: Options): Message<"listener.Filter"> => ({
  name: "envoy.filters.network.rbac",
  typed_config: any("network_rbac.RBAC", { rules: rules(options, false), stat_prefix: "connect_authz" })
})

/** Of requests. */
export const http = (options: Options): Message<"hcm.HttpFilter"> => ({
  name: "envoy.filters.http.rbac",
  typed_config: any("http_rbac.RBAC", { rules: rules(options, true) })
})

const rules = (options: Options, isHttp: boolean): Message<"rbac.RBAC"> => {
  const wanted = options.defaultPolicy === "allow" ? "deny" : "allow"
  const policies: Record<string, Message<"rbac.Policy">> = {}
  const whole: Array<Message<"rbac.Principal">> = []
  let part = 0
  for (const rule of Principals.rules(options, isHttp)) {
    const principal = withToken(Principals.of(rule), rule, wanted, options.issuers)
    if (rule.permissions === undefined) {
      if (rule.action === wanted) whole.push(principal)
      continue
    }
    const permissions = Permissions.decided(rule.permissions, wanted, options.issuers)
    if (permissions.length > 0) {
      policies[`consul-intentions-layer7-${part++}`] = { permissions, principals: [principal] }
    }
  }
  if (whole.length > 0) {
    policies["consul-intentions-layer4"] = { permissions: [Permissions.everything], principals: whole }
  }
  return {
    action: wanted === "deny" ? "DENY" : undefined,
    policies: Object.keys(policies).length === 0 ? undefined : policies
  }
}

/** Only what is allowed can ask for a token. */
const withToken = (
  principal: Principals.Principal,
  { jwt }: Principals.Rule,
  wanted: "allow" | "deny",
  issuers: Tokens.Issuers
): Principals.Principal => {
  const token = wanted === "allow" ? Tokens.principal(jwt, issuers) : undefined
  return token === undefined ? principal : { and_ids: { ids: [principal, token] } }
}
