/**
 * Intentions that a proxy which judges connections can not carry out, and therefore refuses by: they have permissions, or, at a
 * service that speaks HTTP, allow with a token only. For whoever starts such a proxy to be told.
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
  return `connections are judged here and no HTTP requests, so that ${
    rules.length === 1 ? "an intention" : "intentions"
  } for ${authorizer.destination.service} with permissions or a required token refuse${
    rules.length === 1 ? "s" : ""
  } everybody that ${rules.length === 1 ? "it is" : "they are"} about: ${
    names.join(", ")
  }. Serve it with MeshHttpServer, or ` +
    "behind an Envoy sidecar"
}
