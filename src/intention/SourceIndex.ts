/**
 * Finds, among any number of source patterns, the best one that covers an identity. A pattern is a partition, a namespace
 * and a name, each of them exact or any. One trie, a level for each: looking up visits at most 2 × 2 × 2 leaves however
 * many patterns there are, and allocates nothing.
 */

/** Covers every name at its level. A symbol, because an identity may well be named `*`. */
export const any: unique symbol = Symbol("any")
export type Pattern = string | typeof any

/** Smaller ranks win. */
export interface Ranked {
  readonly rank: number
}

interface Level<Below> {
  readonly exact: Map<string, Below>
  any: Below | undefined
}

export interface SourceIndex<A extends Ranked> extends Level<Level<Level<A>>> {}

const level = <Below>(): Level<Below> => ({ exact: new Map(), any: undefined })

export const make = <A extends Ranked>(): SourceIndex<A> => level()

/** Keeps the value of the smallest rank for each pattern. Returns the one that was there before, if any. */
export const insert = <A extends Ranked>(
  self: SourceIndex<A>,
  partition: Pattern,
  namespace: Pattern,
  name: Pattern,
  value: A
): A | undefined => {
  const names = below(below(self, partition), namespace)
  const present = name === any ? names.any : names.exact.get(name)
  if (present !== undefined && present.rank <= value.rank) return present
  if (name === any) names.any = value
  else names.exact.set(name, value)
  return present
}

const below = <A>(self: Level<Level<A>>, key: Pattern): Level<A> => {
  const present = key === any ? self.any : self.exact.get(key)
  if (present !== undefined) return present
  const made = level<A>()
  if (key === any) self.any = made
  else self.exact.set(key, made)
  return made
}

/** The value of the smallest rank among the patterns that cover the identity. */
export const find = <A extends Ranked>(
  self: SourceIndex<A>,
  partition: string,
  namespace: string,
  name: string
): A | undefined => {
  const exact = self.exact.get(partition)
  const best = exact === undefined ? undefined : findInPartition(exact, namespace, name)
  return self.any === undefined ? best : better(best, findInPartition(self.any, namespace, name))
}

const findInPartition = <A extends Ranked>(self: Level<Level<A>>, namespace: string, name: string): A | undefined => {
  const exact = self.exact.get(namespace)
  const best = exact === undefined ? undefined : findInNamespace(exact, name)
  return self.any === undefined ? best : better(best, findInNamespace(self.any, name))
}

const findInNamespace = <A extends Ranked>(self: Level<A>, name: string): A | undefined =>
  better(self.exact.get(name), self.any)

/** The one of the smaller rank; an absent one loses. */
export const better = <A extends Ranked>(a: A | undefined, b: A | undefined): A | undefined =>
  a === undefined ? b : b === undefined || a.rank <= b.rank ? a : b
