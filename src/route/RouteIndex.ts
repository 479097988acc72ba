/**
 * Which of many routes may take a request, in their order, without asking each of them: by the path that a route names, or by a header
 * that it wants to be exact. Routes that name neither are asked each time.
 */
import type { HttpMatch } from "../consul/config/ServiceRouter.ts"
import * as Bytes from "../intention/Bytes.ts"

/** What a route asks for, so that others need not be asked about requests without it. */
export type Key =
  | { readonly _tag: "Exact"; readonly path: string }
  | { readonly _tag: "Prefix"; readonly path: string }
  /** Of one line. The name is in lower case. */
  | { readonly _tag: "Header"; readonly name: string; readonly value: string }
  | { readonly _tag: "Any" }

export interface Request {
  /** Without its query. */
  readonly path: string
  /** The lines of a header, named in lower case. */
  readonly lines: (name: string) => ReadonlyArray<string>
}

export interface RouteIndex {
  /** The first position, in ascending order, that `takes`. */
  readonly first: (request: Request, takes: (position: number) => boolean) => number | undefined
}

export const keyOf = (match: HttpMatch | undefined): Key => {
  if (match === undefined) return any
  // Without case any of many paths would do.
  if (match.PathExact !== "" && !match.CaseInsensitive) return { _tag: "Exact", path: Bytes.fromText(match.PathExact) }
  const prefix = match.CaseInsensitive ? "" : match.PathPrefix || literalStart(match.PathRegex)
  const header = match.Header.find(({ Exact, Invert }) => Exact !== "" && !Invert)
  // Most paths begin with a slash: that tells nothing apart.
  if (prefix.length > 1 || (prefix !== "" && header === undefined)) {
    return { _tag: "Prefix", path: Bytes.fromText(prefix) }
  }
  return header === undefined
    ? any
    : { _tag: "Header", name: header.Name.toLowerCase(), value: Bytes.fromText(header.Exact) }
}

const any: Key = { _tag: "Any" }

/** What each text that an expression describes begins with, as far as that is plain. */
const literalStart = (expression: string): string => {
  if (expression.includes("|")) return ""
  const [, literal = "", next = ""] = /^\^?([\w/-]*)(.?)/.exec(expression) ?? []
  return /[*+?{]/.test(next) ? literal.slice(0, -1) : literal
}

export const make = (keys: ReadonlyArray<Key>): RouteIndex => {
  const exact = new Map<string, Array<number>>()
  const byPrefix = new Map<string, Array<number>>()
  const byHeader = new Map<string, Map<string, Array<number>>>()
  const others: Array<number> = []
  keys.forEach((key, position) => {
    switch (key._tag) {
      case "Exact":
        return push(exact, key.path, position)
      case "Prefix":
        return push(byPrefix, key.path, position)
      case "Header": {
        const values = byHeader.get(key.name) ?? new Map<string, Array<number>>()
        byHeader.set(key.name, values)
        return push(values, key.value, position)
      }
      case "Any":
        return void others.push(position)
    }
  })
  const lengths = [...new Set([...byPrefix.keys()].map((prefix) => prefix.length))].toSorted((a, b) => a - b)

  return {
    first: ({ lines, path }, takes) => {
      const lists = [others]
      const add = (list: Array<number> | undefined) => {
        if (list !== undefined) lists.push(list)
      }
      add(exact.get(path))
      for (const length of lengths) {
        if (length > path.length) break
        add(byPrefix.get(path.slice(0, length)))
      }
      for (const [name, values] of byHeader) for (const line of new Set(lines(name))) add(values.get(line))
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
