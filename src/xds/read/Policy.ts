/** Who may call the service: what the public listener says of callers and of tokens. */
import { Result } from "effect"
import type * as SpiffeId from "../../identity/SpiffeId.ts"
import * as Authorizer from "../../intention/Authorizer.ts"
import type * as JwtProviders from "../../watch/JwtProviders.ts"
import type * as Cluster from "./Cluster.ts"
import * as Fields from "./Fields.ts"
import * as Jwt from "./Jwt.ts"
import type * as Listener from "./Listener.ts"
import * as Rbac from "./Rbac.ts"

export interface Policy {
  readonly authorizer: Authorizer.Authorizer
  readonly providers: JwtProviders.Providers
  /** What is not understood, and what that closes. */
  readonly flaws: ReadonlyArray<string>
}

export const read = (
  { jwt, protocol, rbac }: Pick<Listener.Listener, "jwt" | "protocol" | "rbac">,
  identity: SpiffeId.Service,
  clusters: ReadonlyMap<string, Cluster.Cluster>
): Policy => {
  const tokens = jwt === undefined
    ? { value: [], flaws: [] }
    : Fields.read("jwt_authn", jwt, (fields) => {
      fields.skip("@type")
      return Jwt.read(fields, clusters)
    })
  const rules = tokens.flaws.length > 0 || rbac === undefined
    ? Rbac.closed(tokens.flaws.map((flaw) => `${flaw} is not understood: nobody is let in`))
    : Rbac.read(rbac, {
      trustDomain: identity.trustDomain,
      destination: identity,
      tokens: new Map(tokens.value.map(({ issuer = "", name, payloadKey }) => [payloadKey, { name, issuer }]))
    })
  return {
    authorizer: compile(rules, identity, protocol),
    providers: new Map(tokens.value.map((provider) => [provider.name, Result.succeed(provider)])),
    flaws: rules.flaws
  }
}

/** Of a listener that is not understood. */
export const closed = (identity: SpiffeId.Service, protocol: string): Policy => ({
  authorizer: compile(Rbac.closed([]), identity, protocol),
  providers: new Map(),
  flaws: []
})

const compile = (
  { defaultPolicy, intentions, peers }: Rbac.Policy,
  { namespace, partition, service, trustDomain }: SpiffeId.Service,
  protocol: string
): Authorizer.Authorizer =>
  Authorizer.compile({
    destination: { service, namespace, partition, protocol },
    trustDomain,
    intentions,
    defaultPolicy,
    peers
  })
