/** What must hold for all config entries together. A write or deletion after which it does not is refused. */
import { Result } from "effect"
import type { JwtRequirement } from "../../consul/config/ServiceIntentions.ts"
import type { StoredEntry } from "../../consul/config/StoredEntry.ts"
import * as CompileChain from "../chain/CompileChain.ts"
import * as EntrySet from "../chain/EntrySet.ts"
import * as DecodeEntry from "./DecodeEntry.ts"

export interface Change {
  readonly entry: StoredEntry
  readonly operation: "write" | "delete"
  /** With the change. */
  readonly after: EntrySet.EntrySet
  readonly datacenter: string
}

/** The first problem, that of the changed entry's own service first. */
export const check = (change: Change): Result.Result<void, string> => {
  const problem = tokens(change) ?? permissive(change) ?? chains(change)
  return problem === undefined ? Result.void : Result.fail(problem)
}

const chainKinds = new Set([
  "proxy-defaults",
  "service-defaults",
  "service-router",
  "service-splitter",
  "service-resolver",
  "service-intentions"
])

const chains = ({ after, datacenter, entry }: Change): string | undefined => {
  if (!chainKinds.has(entry.Kind)) return undefined
  const own = EntrySet.nameOf(entry)
  const names = new Set(own === "global" && entry.Kind === "proxy-defaults" ? [] : [own])
  for (const kind of ["service-router", "service-splitter", "service-resolver", "service-defaults"] as const) {
    for (const { Name } of EntrySet.ofKind(after, kind)) names.add(Name)
  }
  const compile = (service: string) =>
    CompileChain.compile({ service, datacenter, trustDomain: placeholder, entries: after })
  for (const service of names) {
    if (entry.Kind === "service-intentions") continue
    const chain = compile(service)
    if (Result.isFailure(chain)) return chain.failure
  }
  for (const { Name, Sources } of EntrySet.ofKind(after, "service-intentions")) {
    if (!Sources.some((source) => source.Permissions.length > 0)) continue
    const chain = compile(Name)
    if (Result.isFailure(chain)) return chain.failure
    if (!EntrySet.isHttpLike(chain.success.Protocol)) {
      return `service "${Name}" has protocol "${chain.success.Protocol}", which is incompatible with L7 intentions ` +
        "permissions"
    }
  }
  return undefined
}

/** The trust domain is in what is compiled, but nothing that can be wrong depends on it. */
const placeholder = "b6fc9da3-03d4-4b5a-9134-c045e9b20152.consul"

const tokens = ({ after, entry, operation }: Change): string | undefined => {
  if (entry.Kind === "jwt-provider" && operation === "delete") {
    const user = EntrySet.ofKind(after, "service-intentions").find((intentions) =>
      providersOf(intentions.JWT, intentions.Sources).includes(entry.Name)
    )
    return user === undefined
      ? undefined
      : `cannot delete jwt provider config entry referenced by an intention. Provider name: ${entry.Name}, intention name: ${user.Name}`
  }
  if (entry.Kind !== "service-intentions" || operation === "delete") return undefined
  const known = new Set(EntrySet.ofKind(after, "jwt-provider").map(({ Name }) => Name))
  const missing = providersOf(entry.JWT, entry.Sources).filter((name) => !known.has(name))
  return missing.length === 0
    ? undefined
    : DecodeEntry.errors(missing.map((name) => `Referenced JWT Provider does not exist. Provider Name: ${name}`))
}

const providersOf = (
  jwt: JwtRequirement | undefined,
  sources: ReadonlyArray<{ readonly Permissions: ReadonlyArray<{ readonly JWT?: JwtRequirement }> }>
): ReadonlyArray<string> =>
  [jwt, ...sources.flatMap(({ Permissions }) => Permissions.map(({ JWT }) => JWT))].flatMap((requirement) =>
    requirement?.Providers.map(({ Name }) => Name) ?? []
  )

const permissive = ({ after, entry, operation }: Change): string | undefined =>
  operation === "write" && (entry.Kind === "service-defaults" || entry.Kind === "proxy-defaults") &&
    entry.MutualTLSMode === "permissive" && EntrySet.mesh(after)?.AllowEnablingPermissiveMutualTLS !== true
    ? "cannot set MutualTLSMode=permissive because AllowEnablingPermissiveMutualTLS=false in the mesh config entry"
    : undefined
