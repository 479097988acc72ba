/** What an Envoy can be told, by kind and name, as it goes over the wire. */
import { createHash } from "node:crypto"
import { encode, typeUrl } from "./proto/Encode.ts"
import type { Message, Name } from "./proto/Messages.ts"

/** In the order in which they have to arrive: what is referred to before what refers to it. */
export const kinds = [
  "cluster.Cluster",
  "endpoint.ClusterLoadAssignment",
  "tls.Secret",
  "listener.Listener",
  "route.RouteConfiguration"
] as const satisfies ReadonlyArray<Name>

export type Kind = (typeof kinds)[number]

export const typeUrls: Readonly<Record<Kind, string>> = Object.fromEntries(
  kinds.map((kind) => [kind, typeUrl(kind)])
) as Record<Kind, string>

export interface Resource {
  readonly name: string
  /** Equal where the bytes are. */
  readonly version: string
  readonly bytes: Uint8Array
  /** Resources of another kind that an Envoy asks for because of this one: it needs them again when this one changes. */
  readonly children: ReadonlyArray<string>
}

export type Resources = Readonly<Record<Kind, ReadonlyMap<string, Resource>>>

export const none: Resources = {
  "cluster.Cluster": new Map(),
  "endpoint.ClusterLoadAssignment": new Map(),
  "tls.Secret": new Map(),
  "listener.Listener": new Map(),
  "route.RouteConfiguration": new Map()
}

/** Encoded once, however often it is asked for: messages are values. */
export const resource = <K extends Kind>(
  kind: K,
  name: string,
  message: Message<K>,
  children: ReadonlyArray<string> = []
): Resource => {
  const known = made.get(message as object)
  if (known !== undefined) return known
  const bytes = encode(kind, message)
  const version = createHash("sha256").update(bytes).digest("hex").slice(0, 16)
  const fresh: Resource = { name, version, bytes, children }
  made.set(message as object, fresh)
  return fresh
}

const made = new WeakMap<object, Resource>()
