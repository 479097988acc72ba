/**
 * What a file holds, by what stands in it: config entries, alone or in lists; the configuration of an agent, with entries and
 * services; a list of intentions, as the API answers it; resources of Kubernetes. Everything is read, noted or refused.
 */
import * as Document from "./Document.ts"
import * as Kubernetes from "./Kubernetes.ts"
import * as LegacyIntentions from "./LegacyIntentions.ts"
import * as Node from "../syntax/Node.ts"

/** An entry that is still to be read. */
export interface Item {
  readonly kind: string
  readonly node: Node.Node
  readonly kubernetes: boolean
}

/** The statements of a file, apart from each other. */
export interface Sorted {
  readonly items: ReadonlyArray<Item>
  /** What is no entry, and may configure an agent. */
  readonly configurations: ReadonlyArray<Configuration>
  readonly notes: ReadonlyArray<Document.Problem>
}

type Configuration = Extract<Node.Node, { readonly type: "object" }>

export interface Contents extends Pick<Sorted, "items" | "notes"> {
  readonly services: ReadonlyArray<string>
  readonly defaultPolicies: ReadonlyArray<{ readonly policy: "allow" | "deny"; readonly node: Node.Node }>
}

/** Problems go to the document. */
export const sort = (document: Document.Document): Sorted => {
  const items: Array<Item> = []
  const configurations: Array<Configuration> = []
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
    else if (field(node, "Kind") !== undefined) items.push(...entry(document, node))
    else configurations.push(node)
  }

  const intentions = (nodes: ReadonlyArray<Node.Node>) => {
    const { entries, mistakes } = LegacyIntentions.translate(nodes)
    for (const { message, offset } of mistakes) document.problem(offset, message)
    for (const node of entries) items.push({ kind: "service-intentions", node, kubernetes: false })
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

  document.roots.forEach(statement)
  const [first] = foreign
  return {
    items,
    configurations,
    notes: first === undefined ? [] : [{
      ...document.place(first.offset),
      message: `left out, being none of Consul's: ${foreign.map(({ name }) => name).join(", ")}`
    }]
  }
}

/** What a policy is made of. Problems go to the document. */
export const read = (document: Document.Document): Contents => {
  const { configurations, items, notes } = sort(document)
  const configured = configurations.map((node) => configuration(document, node))
  return {
    items: [...items, ...configured.flatMap((each) => each.items)],
    services: configured.flatMap((each) => each.services),
    defaultPolicies: configured.flatMap((each) => each.defaultPolicies),
    notes
  }
}

const entry = (document: Document.Document, node: Node.Node): ReadonlyArray<Item> => {
  const envelope = document.read(node, Document.open({ Kind: Document.text }), { lenient: true }) as
    | Document.Value
    | undefined
  const kind = envelope?.["Kind"]
  if (typeof kind === "string" && kind !== "") return [{ kind, node, kubernetes: false }]
  document.problem(node.offset, missing)
  return []
}

/** The entries of `config_entries.bootstrap`, in an agent's configuration. Undefined: it has none. */
export const bootstrap = (document: Document.Document, node: Node.Node): ReadonlyArray<Item> | undefined => {
  const found = field(field(node, "ConfigEntries"), "Bootstrap")
  if (found === undefined) return undefined
  return (found.type === "list" ? found.items : [found]).flatMap((item) => {
    if (item.type === "object" && field(item, "Kind") !== undefined) return entry(document, item)
    document.problem(item.offset, missing)
    return []
  })
}

/** Of an agent. Most of it says nothing about who may call whom. */
const configuration = (document: Document.Document, node: Configuration): Omit<Contents, "notes"> => {
  const items = bootstrap(document, node)
  const own = document.read(node, agent, { lenient: true }) as Document.Value
  if (items === undefined && !Object.keys(agent.fields).some((key) => own[key] !== undefined)) {
    document.problem(node.offset, explain(node))
  }
  // A mistyped intention must not pass for a setting of an agent.
  for (const name of ["Sources", "Destination", "Permissions"]) {
    const stray = field(node, name)
    if (stray !== undefined) {
      document.problem(stray.offset, `${name} belongs into a config entry with a Kind of its own`)
    }
  }
  const entries = field(node, "ConfigEntries")
  if (entries !== undefined && items === undefined) {
    document.problem(
      entries.offset,
      "config_entries has one field, bootstrap, with the list of entries; it is not there"
    )
  }
  const acl = own["ACL"] as Document.Value | undefined
  // Without ACLs everything is allowed, unless the setting for intentions says otherwise.
  const policy = own["DefaultIntentionPolicy"] ??
    (acl?.["Enabled"] === true ? acl["DefaultPolicy"] ?? "allow" : undefined)
  const place = field(node, "DefaultIntentionPolicy") ?? field(node, "ACL") ?? node
  const known = policy === "allow" || policy === "deny"
  if (!known && policy !== undefined) document.problem(place.offset, "the default policy is allow or deny; correct it")
  const named = [...(own["Services"] as ReadonlyArray<Document.Value> | undefined ?? []), own["Service"]]
  return {
    items: items ?? [],
    services: (named as ReadonlyArray<Document.Value | undefined>).flatMap((service) => {
      const name = service?.["Name"]
      return typeof name === "string" && name !== "" ? [name] : []
    }),
    defaultPolicies: known ? [{ policy, node: place }] : []
  }
}

const missing = "the field Kind is missing; every config entry has one, such as \"service-intentions\""

/** Files that people mistake for a policy. */
const explain = (node: Node.Node): string =>
  field(node, "Assertions") !== undefined || field(node, "Lint") !== undefined
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
export const field = (node: Node.Node | undefined, name: string): Node.Node | undefined => {
  const only = node?.type === "list" && node.items.length === 1 ? node.items[0] : node
  return only?.type === "object" ? only.members.find(({ key }) => Document.isNamed(key, name))?.value : undefined
}
