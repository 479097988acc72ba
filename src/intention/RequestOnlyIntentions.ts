/**
 * Intentions that a proxy for connections cannot enforce, so that it refuses their callers: they have permissions, or, at a
 * service that speaks HTTP, allow with a token only. The proxy warns of them when it starts.
 */
import type * as Authorizer from "./Authorizer.ts"
import * as Decision from "./Decision.ts"
import * as Source from "./Source.ts"
import * as TokenRequirement from "./TokenRequirement.ts"

export const find = (
  { defaultPolicy, http, intentions }: Pick<Authorizer.Authorizer, "defaultPolicy" | "http" | "intentions">
): ReadonlyArray<Decision.Rule> =>
  intentions.map(Source.rule).filter(({ action, intention }) =>
    action === "permissions" ||
    (http && action === "allow" && defaultPolicy === "deny" && TokenRequirement.isDemanded(intention.JWT))
  )

/** To be logged, where there are any. */
export const warning = (
  authorizer: Pick<Authorizer.Authorizer, "defaultPolicy" | "destination" | "http" | "intentions">
): string | undefined => {
  const rules = find(authorizer)
  if (rules.length === 0) return undefined
  const names = rules.map(Decision.formatRule)
  return `connections are authorized here, not HTTP requests: for ${authorizer.destination.service}, ${
    rules.length === 1 ? "this intention" : "these intentions"
  } with permissions or a required token refuse${rules.length === 1 ? "s" : ""} all callers that ${
    rules.length === 1 ? "it covers" : "they cover"
  }: ${names.join(", ")}. Serve it with MeshHttpServer, or ` +
    "behind an Envoy sidecar"
}
