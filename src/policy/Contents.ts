/**
 * What a file holds, by what stands in it: config entries, alone or in lists; the configuration of an agent, with entries and
 * services; a list of intentions, as the API answers it; resources of Kubernetes. Everything is read, noted or refused.
 */
import * as Document from "./Document.ts"
import * as Kubernetes from "./Kubernetes.ts"
import * as LegacyIntentions from "./LegacyIntentions.ts"
import * as Node from "./syntax/Node.ts"

/** An entry that is still to be read. */
export interface Item {
  readonly kind: string
  readonly node: Node.Node
  readonly kubernetes: boolean
}

export interface Contents {
  readonly items: ReadonlyArray<Item>
  readonly services: ReadonlyArray<string>
  readonly defaultPolicies: ReadonlyArray<{ readonly policy: "allow" | "deny"; readonly node: Node.Node }>
  readonly notes: ReadonlyArray<Document.Problem>
}

/** Problems go to the document. */
export const read = (document: Document.Document): Contents => {
  const items: Array<Item> = []
  const services: Array<string> = []
  const defaultPolicies: Array<Contents["defaultPolicies"][number]> = []
  const foreign: Array<{ readonly name: string; readonly offset: number }> = []

  const statement = (node: Node.Node) => {
    if (node.type === "list") {
      if (node.items.some(LegacyIntentions.isIntention)) intentions(node.items)
      else node.items.forEach(statement)
      return
    }
    if (node.type !== "object") {
      document.problem(
        node.offset,
        `an entry belongs here, and this is ${Document.nameOf(node)}; correct it, or remove it`
      )
      return
    }
    if (Kubernetes.isResource(node)) resource(node)
    else if (LegacyIntentions.isIntention(node)) intentions([node])
    else if (field(node, "Kind") !== undefined) entry(node)
    else configuration(node)
  }

  const intentions = (nodes: ReadonlyArray<Node.Node>) => {
    const { entries, mistakes } = LegacyIntentions.translate(nodes)
    for (const { message, offset } of mistakes) document.problem(offset, message)
    for (const node of entries) items.push({ kind: "service-intentions", node, kubernetes: false })
  }

  const entry = (node: Node.Node) => {
    const envelope = document.read(node, Document.open({ Kind: Document.text }), { lenient: true }) as
      | Document.Value
      | undefined
    const kind = envelope?.["Kind"]
    if (typeof kind === "string" && kind !== "") items.push({ kind, node, kubernetes: false })
    else document.problem(node.offset, missing)
  }

  const resource = (node: Node.Node) => {
    const found = Kubernetes.translate(node)
    switch (found._tag) {
      case "Entry":
        items.push({ kind: found.kind, node: found.node, kubernetes: true })
        break
      case "List":
        found.items.forEach((item) => {
          if (Kubernetes.isResource(item)) resource(item)
          else {document.problem(
              item.offset,
              "a resource belongs here, with apiVersion and kind; correct it, or remove it"
            )}
        })
        break
      case "Foreign":
        foreign.push(found)
        break
      case "Mistake":
        document.problem(found.mistake.offset, found.mistake.message)
        break
      case "Irrelevant":
    }
  }

  /** Of an agent. Most of it says nothing about who may call whom. */
  const configuration = (node: Extract<Node.Node, { readonly type: "object" }>) => {
    const bootstrap = field(field(node, "ConfigEntries"), "Bootstrap")
    const own = document.read(node, agent, { lenient: true }) as Document.Value
    if (bootstrap === undefined && !Object.keys(agent.fields).some((key) => own[key] !== undefined)) {
      document.problem(node.offset, explain(node))
      return
    }
    for (const item of bootstrap === undefined ? [] : bootstrap.type === "list" ? bootstrap.items : [bootstrap]) {
      if (item.type !== "object" || field(item, "Kind") === undefined) document.problem(item.offset, missing)
      else entry(item)
    }
    const named = [...(own["Services"] as ReadonlyArray<Document.Value> | undefined ?? []), own["Service"]]
    for (const service of named as ReadonlyArray<Document.Value | undefined>) {
      const name = service?.["Name"]
      if (typeof name === "string" && name !== "") services.push(name)
    }
    const acl = own["ACL"] as Document.Value | undefined
    // Without ACLs everything is allowed, unless the setting for intentions says otherwise.
    const policy = own["DefaultIntentionPolicy"] ??
      (acl?.["Enabled"] === true ? acl["DefaultPolicy"] ?? "allow" : undefined)
    if (policy === "allow" || policy === "deny") {
      defaultPolicies.push({ policy, node: field(node, "DefaultIntentionPolicy") ?? field(node, "ACL") ?? node })
    } else if (policy !== undefined) {
      document.problem(
        field(node, "DefaultIntentionPolicy")?.offset ?? node.offset,
        "the default policy is allow or deny"
      )
    }
  }

  document.roots.forEach(statement)
  const [first] = foreign
  return {
    items,
    services,
    defaultPolicies,
    notes: first === undefined ? [] : [{
      ...document.place(first.offset),
      message: `left out, being none of Consul's: ${foreign.map(({ name }) => name).join(", ")}`
    }]
  }
}

const missing = "the field Kind is missing; every config entry has one, such as \"service-intentions\""

/** Files that people mistake for a policy. */
const explain = (node: Node.Node): string =>
  field(node, "Assertions") !== undefined
    ? "these are statements for `effect-mesh policy verify`, and no policy; keep them out of the folder of the policy"
    : ["resource", "terraform", "variable", "locals", "module", "provider"].some((key) =>
        Node.get(node, key) !== undefined
      )
    ? "this is for Terraform, which is not read; give what `consul config read` prints once it is applied"
    : missing

const service = Document.open({ Name: Document.text })

const agent = Document.open({
  Services: Document.list(service),
  Service: service,
  DefaultIntentionPolicy: Document.text,
  ACL: Document.open({ Enabled: Document.boolean, DefaultPolicy: Document.text })
}) as Extract<Document.Shape, { readonly _tag: "Object" }>

/** In any of Consul's spellings; in a list of one too. */
const field = (node: Node.Node | undefined, name: string): Node.Node | undefined => {
  const only = node?.type === "list" && node.items.length === 1 ? node.items[0] : node
  return only?.type === "object" ? only.members.find(({ key }) => Document.isNamed(key, name))?.value : undefined
}
