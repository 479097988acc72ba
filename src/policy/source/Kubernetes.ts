/**
 * Kubernetes resources of `consul.hashicorp.com`, as the config entries that Consul's controllers make of them
 * (`control-plane/api/v1alpha1` of consul-k8s). The namespace of a resource is Kubernetes' own, and not Consul's.
 */
import type * as Node from "../syntax/Node.ts"

export type Resource =
  /** `node` has the fields of the entry, in the spelling of Kubernetes. */
  | { readonly _tag: "Entry"; readonly kind: string; readonly node: Node.Node }
  | { readonly _tag: "List"; readonly items: ReadonlyArray<Node.Node> }
  /** Of Consul, and nothing that decides who may call whom. */
  | { readonly _tag: "Irrelevant" }
  /** Of another program: it says nothing about Consul's policy. */
  | { readonly _tag: "Foreign"; readonly name: string; readonly offset: number }
  | { readonly _tag: "Mistake"; readonly mistake: Node.Mistake }

/** Kubernetes knows these keys in this spelling only. */
export const isResource = (node: Node.Node): boolean => textAt(node, "apiVersion") !== undefined

export const translate = (node: Node.Node): Resource => {
  const version = textAt(node, "apiVersion")?.value ?? ""
  const kind = textAt(node, "kind")
  if (kind === undefined) return mistake(node.offset, "the resource has no kind; give it one, or remove it")
  if (kind.value === "List" || (kind.value.endsWith("List") && at(node, "items") !== undefined)) {
    const items = at(node, "items")
    return items?.type === "list"
      ? { _tag: "List", items: items.items }
      : mistake(items?.offset ?? node.offset, `the ${kind.value} has no list of items; correct it`)
  }
  const group = version.includes("/") ? version.slice(0, version.indexOf("/")) : ""
  if (group !== consul && !group.endsWith(`.${consul}`)) return foreign(node, kind)
  if (version !== known) {
    return mistake(kind.offset, `${kind.value} of ${version} is not known; write it for ${known}`)
  }
  const entryKind = kinds.get(kind.value)
  if (entryKind === undefined) {
    return irrelevant.has(kind.value)
      ? { _tag: "Irrelevant" }
      : mistake(
        kind.offset,
        `the kind ${kind.value} of ${version} is not known; known are ${[...kinds.keys(), ...irrelevant].join(", ")}`
      )
  }
  return toEntry(node, kind, entryKind)
}

const toEntry = (node: Node.Node, kind: Text, entryKind: string): Resource => {
  const members = node.type === "object" ? node.members : []
  const strange = members.find(({ key }) => !["apiVersion", "kind", "metadata", "spec", "status"].includes(key))
  if (strange !== undefined) {
    return mistake(
      strange.offset,
      `the field ${strange.key} is not known in a resource; what it is about belongs in its spec`
    )
  }
  const spec = at(node, "spec") ?? { type: "null", offset: node.offset }
  if (spec.type !== "object" && spec.type !== "null") {
    return mistake(spec.offset, "the spec must be an object; correct it")
  }
  const fields = spec.type === "object" ? spec.members : []
  const named = (name: Node.Node | undefined, rest: ReadonlyArray<Node.Member>): Resource => ({
    _tag: "Entry",
    kind: entryKind,
    node: {
      type: "object",
      offset: kind.offset,
      members: [
        { key: "kind", offset: kind.offset, value: { type: "text", offset: kind.offset, value: entryKind } },
        ...(name === undefined ? [] : [{ key: "name", offset: name.offset, value: name }]),
        ...rest
      ]
    }
  })
  // Whom it is about stands in the spec, and not in the name of the resource.
  if (entryKind === "service-intentions") {
    const destination = at(spec, "destination")
    const rest = fields.filter(({ key }) => key !== "destination")
    if (destination?.type !== "object") return named(undefined, rest)
    const foreign = destination.members.find(({ key }) => key !== "name" && key !== "namespace")
    return foreign === undefined
      ? named(at(destination, "name"), [...destination.members.filter(({ key }) => key === "namespace"), ...rest])
      : mistake(foreign.offset, `the field ${foreign.key} is not known; a destination has a name and a namespace`)
  }
  const metadata = at(node, "metadata")
  return named(metadata === undefined ? undefined : at(metadata, "name"), fields)
}

/** It is left out, unless it may hold entries for Consul in a text of its own, or changes other resources. */
const foreign = (node: Node.Node, kind: Text): Resource => {
  if (kind.value === "Kustomization") {
    return mistake(
      kind.offset,
      "a Kustomization may change the resources beside it; give what `kubectl kustomize` makes of it"
    )
  }
  const own = node.type === "object" ? node.members.filter(({ key }) => key !== "apiVersion") : []
  const hidden = first(own.map(({ value }) => value), /service-intentions|config_entries|consul\.hashicorp\.com\/v/)
  if (hidden !== undefined) {
    return mistake(
      hidden.offset,
      `this text of the ${kind.value} speaks of Consul's config entries, and is not read; give them in a file of their own`
    )
  }
  const metadata = at(node, "metadata")
  const name = metadata === undefined ? undefined : textAt(metadata, "name")?.value
  return { _tag: "Foreign", name: name === undefined ? kind.value : `${kind.value} ${name}`, offset: kind.offset }
}

const consul = "consul.hashicorp.com"
const known = `${consul}/v1alpha1`

const kinds = new Map([
  ["ServiceIntentions", "service-intentions"],
  ["ServiceDefaults", "service-defaults"],
  ["ProxyDefaults", "proxy-defaults"],
  ["ServiceRouter", "service-router"],
  ["ServiceSplitter", "service-splitter"],
  ["ServiceResolver", "service-resolver"],
  ["Mesh", "mesh"],
  ["JWTProvider", "jwt-provider"],
  ["ExportedServices", "exported-services"],
  ["IngressGateway", "ingress-gateway"],
  ["TerminatingGateway", "terminating-gateway"],
  ["SamenessGroup", "sameness-group"]
])

/** Peerings, gateways of the Gateway API and what hangs on them, limits, services outside of the mesh. */
const irrelevant = new Set([
  "ControlPlaneRequestLimit",
  "GatewayClassConfig",
  "GatewayPolicy",
  "MeshService",
  "PeeringAcceptor",
  "PeeringDialer",
  "Registration",
  "RouteAuthFilter",
  "RouteRetryFilter",
  "RouteTimeoutFilter"
])

type Text = Extract<Node.Node, { readonly type: "text" }>

const at = (node: Node.Node, key: string): Node.Node | undefined =>
  node.type === "object" ? node.members.find((member) => member.key === key)?.value : undefined

const textAt = (node: Node.Node, key: string): Text | undefined => {
  const found = at(node, key)
  return found?.type === "text" ? found : undefined
}

const textWith = (node: Node.Node, expression: RegExp): Text | undefined => {
  switch (node.type) {
    case "text":
      return expression.test(node.value) ? node : undefined
    case "list":
      return first(node.items, expression)
    case "object":
      return first(node.members.map(({ value }) => value), expression)
    default:
      return undefined
  }
}

const first = (nodes: ReadonlyArray<Node.Node>, expression: RegExp): Text | undefined => {
  for (const node of nodes) {
    const found = textWith(node, expression)
    if (found !== undefined) return found
  }
  return undefined
}

const mistake = (offset: number, message: string): Resource => ({ _tag: "Mistake", mistake: { offset, message } })
