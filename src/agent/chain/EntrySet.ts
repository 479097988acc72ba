/** A set of config entries as the chain compiler and the write checks look at it. */
import type { Mesh } from "../../consul/config/Mesh.ts"
import type { ProxyDefaults } from "../../consul/config/ProxyDefaults.ts"
import type { ServiceDefaults } from "../../consul/config/ServiceDefaults.ts"
import type { ServiceIntentions } from "../../consul/config/ServiceIntentions.ts"
import type { ServiceResolver } from "../../consul/config/ServiceResolver.ts"
import type { ServiceRouter } from "../../consul/config/ServiceRouter.ts"
import type { ServiceSplitter } from "../../consul/config/ServiceSplitter.ts"
import type { StoredEntry } from "../../consul/config/StoredEntry.ts"

type OfKind<K extends StoredEntry["Kind"]> = Extract<StoredEntry, { readonly Kind: K }>

/** By `key`. Names of services are found whatever their case, as in Consul's state store. */
export type EntrySet = ReadonlyMap<string, StoredEntry>

export const key = (kind: string, name: string): string => `${kind}/${name.toLowerCase()}`

/** The mesh entry has no name of its own. */
export const nameOf = (entry: StoredEntry): string => entry.Kind === "mesh" ? "mesh" : entry.Name

const find = <K extends StoredEntry["Kind"]>(set: EntrySet, kind: K, name: string): OfKind<K> | undefined => {
  const entry = set.get(key(kind, name))
  return entry !== undefined && isKind(entry, kind) ? entry : undefined
}

const isKind = <K extends StoredEntry["Kind"]>(entry: StoredEntry, kind: K): entry is OfKind<K> => entry.Kind === kind

export const ofKind = <K extends StoredEntry["Kind"]>(set: EntrySet, kind: K): ReadonlyArray<OfKind<K>> =>
  [...set.values()].filter((entry) => isKind(entry, kind))

export const router = (set: EntrySet, name: string): ServiceRouter | undefined => find(set, "service-router", name)
export const splitter = (set: EntrySet, name: string): ServiceSplitter | undefined =>
  find(set, "service-splitter", name)
export const resolver = (set: EntrySet, name: string): ServiceResolver | undefined =>
  find(set, "service-resolver", name)
export const defaults = (set: EntrySet, name: string): ServiceDefaults | undefined =>
  find(set, "service-defaults", name)
export const intentions = (set: EntrySet, name: string): ServiceIntentions | undefined =>
  find(set, "service-intentions", name)
export const proxyDefaults = (set: EntrySet): ProxyDefaults | undefined => find(set, "proxy-defaults", "global")
export const mesh = (set: EntrySet): Mesh | undefined => find(set, "mesh", "mesh")

/** A service-defaults entry decides even if its protocol is empty, which means `tcp`. */
export const protocol = (set: EntrySet, service: string): string => {
  const own = defaults(set, service)
  if (own !== undefined) return own.Protocol === "" ? "tcp" : own.Protocol
  const global = proxyDefaults(set)?.Config["protocol"]
  return typeof global === "string" && global !== "" ? global : "tcp"
}

export const isHttpLike = (protocol: string): boolean =>
  protocol === "http" || protocol === "http2" || protocol === "grpc"
