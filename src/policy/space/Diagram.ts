/**
 * Decision diagrams over a few finite dimensions: functions from requests, each known by its atom in every dimension, to
 * leaves. Equal diagrams are the same object, so that comparing, counting and searching look at each node once.
 */

export interface Node<L> {
  readonly _tag: "Node"
  readonly id: number
  /** The dimension that it asks for. Those of its children come later. */
  readonly level: number
  /** One for each atom. */
  readonly children: ReadonlyArray<Diagram<L>>
}

export interface Leaf<L> {
  readonly _tag: "Leaf"
  readonly id: number
  readonly value: L
}

export type Diagram<L> = Node<L> | Leaf<L>

/** More nodes would be needed than the budget allows. */
export class TooLarge extends Error {}

export interface Builder {
  readonly limit: number
  /** The same leaf for the same value, by reference. */
  readonly leaf: <L>(value: L) => Leaf<L>
  readonly node: <L>(level: number, children: ReadonlyArray<Diagram<L>>) => Diagram<L>
}

/** Throws `TooLarge` beyond so many nodes, or twenty times as many edges. */
export const builder = (limit: number): Builder => {
  const leaves = new Map<unknown, Leaf<unknown>>()
  const nodes = new Map<string, Node<unknown>>()
  let ids = 0
  let edges = 0
  return {
    limit,
    leaf: <L>(value: L) => {
      const present = leaves.get(value)
      if (present !== undefined) return present as Leaf<L>
      const made: Leaf<L> = { _tag: "Leaf", id: ids++, value }
      leaves.set(value, made)
      return made
    },
    node: <L>(level: number, children: ReadonlyArray<Diagram<L>>) => {
      const [first] = children
      if (first !== undefined && children.every((child) => child === first)) return first
      const key = `${level}:${children.map((child) => child.id).join()}`
      const present = nodes.get(key)
      if (present !== undefined) return present as Node<L>
      edges += children.length
      if (nodes.size >= limit || edges > 20 * limit) throw new TooLarge()
      const made: Node<L> = { _tag: "Node", id: ids++, level, children }
      nodes.set(key, made)
      return made
    }
  }
}

/** The leaf for a request, given by its atom in each dimension. */
export const find = <L>(self: Diagram<L>, atoms: (level: number) => number): L => {
  let at = self
  while (at._tag === "Node") at = at.children[atoms(at.level)]!
  return at.value
}

/** Every value that some request leads to. */
export const values = <L>(self: Diagram<L>): ReadonlySet<L> => {
  const seen = new Set([self])
  const found = new Set<L>()
  for (const each of seen) {
    if (each._tag === "Leaf") found.add(each.value)
    else each.children.forEach((child) => seen.add(child))
  }
  return found
}

/** An atom for some dimensions: the others do not matter. A list of pairs, because most are left open. */
export interface Path {
  readonly cost: number
  readonly choices: ReadonlyArray<readonly [level: number, atom: number]>
}

/** A cheapest request for each value, when each atom has a cost that is not negative. */
export const cheapest = <L>(
  self: Diagram<L>,
  cost: (level: number, atom: number) => number
): ReadonlyMap<L, Path> => {
  const known = new Map<Diagram<L>, ReadonlyMap<L, Path>>()
  const visit = (at: Diagram<L>): ReadonlyMap<L, Path> => {
    const present = known.get(at)
    if (present !== undefined) return present
    const best = new Map<L, Path>()
    if (at._tag === "Leaf") best.set(at.value, { cost: 0, choices: [] })
    else {
      at.children.forEach((child, atom) => {
        const own = cost(at.level, atom)
        for (const [value, path] of visit(child)) {
          const total = own + path.cost
          const before = best.get(value)
          if (before === undefined || total < before.cost) {
            best.set(value, { cost: total, choices: [[at.level, atom], ...path.choices] })
          }
        }
      })
    }
    known.set(at, best)
    return best
  }
  return visit(self)
}

/** The diagram of those requests that have this atom in this dimension. */
export const restrict = <L>(builder: Builder, self: Diagram<L>, level: number, atom: number): Diagram<L> => {
  const known = new Map<Diagram<L>, Diagram<L>>()
  const visit = (at: Diagram<L>): Diagram<L> => {
    if (at._tag === "Leaf" || at.level > level) return at
    if (at.level === level) return at.children[atom]!
    const present = known.get(at)
    if (present !== undefined) return present
    const made = builder.node(at.level, at.children.map(visit))
    known.set(at, made)
    return made
  }
  return visit(self)
}

/** What `join` makes of the leaves that a request leads to in both. Both must be from this builder. */
export const combine = <A, B, C>(
  builder: Builder,
  left: Diagram<A>,
  right: Diagram<B>,
  join: (left: A, right: B) => C
): Diagram<C> => {
  const known = new Map<string, Diagram<C>>()
  const visit = (a: Diagram<A>, b: Diagram<B>): Diagram<C> => {
    const key = `${a.id}:${b.id}`
    const present = known.get(key)
    if (present !== undefined) return present
    if (known.size >= 10 * builder.limit) throw new TooLarge()
    let made: Diagram<C>
    if (a._tag === "Leaf" && b._tag === "Leaf") made = builder.leaf(join(a.value, b.value))
    else {
      const level = Math.min(a._tag === "Node" ? a.level : Infinity, b._tag === "Node" ? b.level : Infinity)
      const width = (a._tag === "Node" && a.level === level ? a : b as Node<B>).children.length
      made = builder.node(
        level,
        Array.from({ length: width }, (_, atom) =>
          visit(
            a._tag === "Node" && a.level === level ? a.children[atom]! : a,
            b._tag === "Node" && b.level === level ? b.children[atom]! : b
          ))
      )
    }
    known.set(key, made)
    return made
  }
  return visit(left, right)
}
