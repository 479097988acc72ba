/**
 * Which of many routes may take a request, in their order, without asking each of them: by the path that a route names. Routes
 * without an exact path or a prefix are asked each time.
 */
import type { HttpMatch } from "../consul/config/ServiceRouter.ts"
import * as Bytes from "../intention/Bytes.ts"

/** The path that a route asks for, if it asks for one in its exact case. */
export type Key =
  | { readonly _tag: "Exact"; readonly path: string }
  | { readonly _tag: "Prefix"; readonly path: string }
  | { readonly _tag: "Any" }

/** Without case any of many texts would do. */
export const keyOf = (match: HttpMatch | undefined): Key =>
  match === undefined || match.CaseInsensitive
    ? { _tag: "Any" }
    : match.PathExact !== ""
    ? { _tag: "Exact", path: Bytes.fromText(match.PathExact) }
    : match.PathPrefix !== ""
    ? { _tag: "Prefix", path: Bytes.fromText(match.PathPrefix) }
    : { _tag: "Any" }

export interface RouteIndex {
  /** The first position, in ascending order, that `takes`; `path` is without its query. */
  readonly first: (path: string, takes: (position: number) => boolean) => number | undefined
}

export const make = (keys: ReadonlyArray<Key>): RouteIndex => {
  const exact = new Map<string, Array<number>>()
  const byPrefix = new Map<string, Array<number>>()
  const any: Array<number> = []
  keys.forEach((key, position) => {
    if (key._tag === "Any") any.push(position)
    else push(key._tag === "Exact" ? exact : byPrefix, key.path, position)
  })
  const lengths = [...new Set([...byPrefix.keys()].map((prefix) => prefix.length))].toSorted((a, b) => a - b)

  return {
    first: (path, takes) => {
      const lists = [any]
      const same = exact.get(path)
      if (same !== undefined) lists.push(same)
      for (const length of lengths) {
        if (length > path.length) break
        const starting = byPrefix.get(path.slice(0, length))
        if (starting !== undefined) lists.push(starting)
      }
      return firstOf(lists, takes)
    }
  }
}

/** Merges ascending lists, as far as needed. */
const firstOf = (
  lists: ReadonlyArray<ReadonlyArray<number>>,
  takes: (position: number) => boolean
): number | undefined => {
  const next = lists.map(() => 0)
  while (true) {
    let nearest = -1
    let position = Infinity
    for (let i = 0; i < lists.length; i++) {
      const candidate = lists[i]![next[i]!]
      if (candidate !== undefined && candidate < position) {
        position = candidate
        nearest = i
      }
    }
    if (nearest < 0) return undefined
    if (takes(position)) return position
    next[nearest]!++
  }
}

const push = (lists: Map<string, Array<number>>, key: string, position: number): void => {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [position])
  else list.push(position)
}
