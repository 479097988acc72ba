/** What a file says in any format: a tree, in which each node knows its position. */

export type Node =
  | { readonly type: "object"; readonly offset: number; readonly members: ReadonlyArray<Member> }
  | { readonly type: "list"; readonly offset: number; readonly items: ReadonlyArray<Node> }
  | { readonly type: "text"; readonly offset: number; readonly value: string }
  /** `text`: as Go writes it where a text is expected. */
  | { readonly type: "number"; readonly offset: number; readonly value: number; readonly text: string }
  | { readonly type: "boolean"; readonly offset: number; readonly value: boolean }
  | { readonly type: "null"; readonly offset: number }

/** A key may come more than once. */
export interface Member {
  readonly key: string
  readonly offset: number
  readonly value: Node
}

export interface Mistake {
  readonly offset: number
  /** What is wrong, and what to do. */
  readonly message: string
}

/** The documents of one file, or why there are none. */
export interface Parsed {
  readonly roots: ReadonlyArray<Node>
  readonly mistakes: ReadonlyArray<Mistake>
}

/** As plain data. */
export const toValue = (node: Node): unknown => {
  switch (node.type) {
    case "object":
      return Object.fromEntries(node.members.map(({ key, value }) => [key, toValue(value)]))
    case "list":
      return node.items.map(toValue)
    case "null":
      return null
    default:
      return node.value
  }
}

/** The value of a key, spelled exactly so. */
export const get = (node: Node, key: string): Node | undefined =>
  node.type === "object" ? node.members.find((member) => member.key === key)?.value : undefined

export const tooDeep = "it is nested too deeply; no entry needs that"
