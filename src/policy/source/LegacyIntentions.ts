/**
 * The list that `GET /v1/connect/intentions` answers, as the entries that it was made from: one for each destination. What the
 * list says of itself (precedence, ids, times) is computed from them, and left out.
 */
import * as Node from "../syntax/Node.ts"

export const isIntention = (node: Node.Node): boolean =>
  Node.get(node, "DestinationName") !== undefined && Node.get(node, "Kind") === undefined

export interface Translated {
  readonly entries: ReadonlyArray<Node.Node>
  readonly mistakes: ReadonlyArray<Node.Mistake>
}

export const translate = (intentions: ReadonlyArray<Node.Node>): Translated => {
  const mistakes: Array<Node.Mistake> = []
  const byDestination = new Map<string, { readonly first: Node.Node; readonly sources: Array<Node.Node> }>()
  for (const intention of intentions) {
    if (intention.type !== "object" || !isIntention(intention)) {
      mistakes.push({
        offset: intention.offset,
        message: "an intention belongs here, as GET /v1/connect/intentions answers it; correct it, or remove it"
      })
      continue
    }
    const strange = intention.members.find(({ key }) => !known.has(key))
    if (strange !== undefined) {
      mistakes.push({
        offset: strange.offset,
        message: `the field ${strange.key} is not known; correct it, or remove it: known are ${[...known].join(", ")}`
      })
    }
    const key = JSON.stringify(destination.map(([from]) => text(intention, from)))
    const found = byDestination.get(key)
    if (found === undefined) byDestination.set(key, { first: intention, sources: [toSource(intention)] })
    else {
      found.sources.push(toSource(intention))
      // It is the entry's, and comes with each of its intentions.
      if (json(found.first, "JWT") !== json(intention, "JWT")) {
        mistakes.push({
          offset: Node.get(intention, "JWT")?.offset ?? intention.offset,
          message: "another intention for the same destination demands another token; one entry can not say both"
        })
      }
    }
  }
  return { entries: [...byDestination.values()].map(({ first, sources }) => toEntry(first, sources)), mistakes }
}

const toEntry = (first: Node.Node, sources: ReadonlyArray<Node.Node>): Node.Node => ({
  type: "object",
  offset: first.offset,
  members: [
    { key: "Kind", offset: first.offset, value: { type: "text", offset: first.offset, value: "service-intentions" } },
    ...renamed(first, destination),
    ...renamed(first, [["JWT", "JWT"]]),
    { key: "Sources", offset: first.offset, value: { type: "list", offset: first.offset, items: sources } }
  ]
})

const toSource = (intention: Node.Node): Node.Node => ({
  type: "object",
  offset: intention.offset,
  members: renamed(intention, source)
})

const destination = [
  ["DestinationName", "Name"],
  ["DestinationNS", "Namespace"],
  ["DestinationPartition", "Partition"]
] as const

const source = [
  ["SourceName", "Name"],
  ["SourceNS", "Namespace"],
  ["SourcePartition", "Partition"],
  ["SourcePeer", "Peer"],
  ["SourceSamenessGroup", "SamenessGroup"],
  ["SourceType", "Type"],
  ["Action", "Action"],
  ["Permissions", "Permissions"],
  ["Description", "Description"]
] as const

const known = new Set<string>([
  ...[...destination, ...source].map(([from]) => from),
  "JWT",
  "ID",
  "Meta",
  "Precedence",
  "DefaultAddr",
  "DefaultPort",
  "CreatedAt",
  "UpdatedAt",
  "Hash",
  "CreateIndex",
  "ModifyIndex"
])

const renamed = (
  node: Node.Node,
  names: ReadonlyArray<readonly [string, string]>
): ReadonlyArray<Node.Member> =>
  node.type !== "object" ? [] : node.members.flatMap((member) => {
    const name = names.find(([from]) => from === member.key)
    return name === undefined ? [] : [{ ...member, key: name[1] }]
  })

const text = (node: Node.Node, key: string): string => {
  const found = Node.get(node, key)
  // The default namespace and partition are written, or left out.
  return found?.type === "text" && found.value !== "default" ? found.value.toLowerCase() : ""
}

const json = (node: Node.Node, key: string): string => {
  const found = Node.get(node, key)
  return JSON.stringify(found === undefined ? null : Node.toValue(found))
}
