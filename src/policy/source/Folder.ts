/**
 * The files of a policy. In a folder each file is read, named in its `.effect-meshignore`, or missing: a file that is passed over
 * could be the one that opens a service.
 */
import { Result } from "effect"
import { readdirSync, readFileSync, realpathSync, statSync } from "node:fs"
import { join, matchesGlob, relative, sep } from "node:path"
import type * as Entries from "./Entries.ts"
import * as Syntax from "../syntax/Syntax.ts"

/** Names of files and folders to pass over, one a line, with `*` and `**`; `#` begins a comment. */
export const ignoreFile = ".effect-meshignore"

export interface Found {
  readonly sources: ReadonlyArray<Entries.Source>
  /** A sentence about each file that is there and not read. */
  readonly missing: ReadonlyArray<string>
}

/** The file, or all of the folder's, in order of their names. Fails where there is nothing at all. */
export const read = (path: string): Result.Result<Found, string> => {
  const problems: Array<string> = []
  const attempt = <A>(file: string, body: () => A): A | undefined => {
    try {
      return body()
    } catch (cause) {
      problems.push(`${file} can not be read: ${cause instanceof Error ? cause.message : String(cause)}`)
      return undefined
    }
  }
  const stat = attempt(path, () => statSync(path))
  const files = stat === undefined ? [] : stat.isDirectory() ? list(path, attempt, problems) : [path]
  const sources = files.flatMap((file): ReadonlyArray<Entries.Source> => {
    const bytes = attempt(file, () => readFileSync(file))
    const text = bytes === undefined ? undefined : decode(bytes)
    if (text !== undefined) return [{ file, text }]
    if (bytes !== undefined) problems.push(`${file}: it is no text in UTF-8; convert it, or take it out of the policy`)
    return []
  })
  if (stat?.isDirectory() !== true && sources.length === 0) return Result.fail(problems.join("\n"))
  return files.length === 0 && problems.length === 0
    ? Result.fail(`${path}: there is no entry in this folder; name the folder of the entries`)
    : Result.succeed({ sources, missing: problems })
}

/** Undefined: not UTF-8, or not text. A byte order mark is left out. */
export const decode = (bytes: Uint8Array): string | undefined => {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes)
    return text.includes("\0") ? undefined : text
  } catch {
    return undefined
  }
}

type Attempt = <A>(file: string, body: () => A) => A | undefined

const list = (root: string, attempt: Attempt, problems: Array<string>): ReadonlyArray<string> => {
  const ignored = ignoredIn(root, attempt)
  // A file is read once, by whatever links it is found. Mounted volumes of Kubernetes have three ways to each.
  const found = new Map<string, string>()
  const foreign: Array<string> = []
  const walk = (folder: string, above: ReadonlyArray<string>) => {
    const real = attempt(folder, () => realpathSync(folder))
    if (real === undefined || above.includes(real)) return
    for (const name of attempt(folder, () => readdirSync(folder))?.toSorted() ?? []) {
      const path = join(folder, name)
      if (ignored(relative(root, path)) || (folder === root && name === ignoreFile)) continue
      const stat = attempt(path, () => statSync(path))
      if (stat?.isDirectory() === true) {
        // What these hold is no part of the tree that it is about.
        if (!versionControl.has(name)) walk(path, [...above, real])
      } else if (stat?.isFile() === false) {
        problems.push(`${path} is neither a file nor a folder; take it out, or name it in ${join(root, ignoreFile)}`)
      } else if (stat !== undefined && Syntax.of(name) === undefined) foreign.push(path)
      else if (stat !== undefined) {
        const target = attempt(path, () => realpathSync(path))
        const known = target === undefined ? undefined : found.get(target)
        if (target !== undefined && (known === undefined || isShorter(path, known))) found.set(target, path)
      }
    }
  }
  walk(root, [])
  const targets = new Set<string>()
  for (const path of foreign.toSorted((a, b) => isShorter(a, b) ? -1 : 1)) {
    const target = attempt(path, () => realpathSync(path)) ?? path
    if (!targets.has(target)) {
      targets.add(target)
      problems.push(
        `${path}: its name does not say that it is a policy (${known}); take it out, or name it in ${
          join(root, ignoreFile)
        }, as ${relative(root, path).split(sep).join("/")}`
      )
    }
  }
  return [...found.values()].toSorted()
}

const known = ".json, .hcl, .yaml, .yml"

const versionControl = new Set([".git", ".hg", ".svn"])

const isShorter = (a: string, b: string): boolean =>
  a.split(sep).length - b.split(sep).length < 0 || (a.split(sep).length === b.split(sep).length && a > b)

const ignoredIn = (root: string, attempt: Attempt): (path: string) => boolean => {
  const file = join(root, ignoreFile)
  const text = readdirOf(root).includes(ignoreFile) ? attempt(file, () => readFileSync(file, "utf8")) ?? "" : ""
  const patterns = text.split("\n").map((line) => line.replace(/(^|\s)#.*/, "").trim().replace(/^\/|\/$/g, "")).filter(
    Boolean
  )
  return (path) => {
    const name = path.split(sep).join("/")
    return patterns.some((pattern) =>
      matchesGlob(name, pattern) || (!pattern.includes("/") && matchesGlob(name, `**/${pattern}`))
    )
  }
}

const readdirOf = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
