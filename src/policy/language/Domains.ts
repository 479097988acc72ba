/** Which requests there are: the domains of methods, paths and header values, in bytes. */
import type * as PathNormalization from "../../intention/PathNormalization.ts"
import * as Automaton from "./Automaton.ts"
import { memoize } from "./Memo.ts"

const set = (characters: string): ReadonlySet<number> => new Set([...characters].map((c) => c.charCodeAt(0)))
const letters = "abcdefghijklmnopqrstuvwxyz"
const alphanumeric = `${letters}${letters.toUpperCase()}0123456789`

/** The bytes from `from` to 255, without DEL and the given ones. */
const from = (from: number, except = ""): ReadonlySet<number> => {
  const excluded = set(except)
  return new Set(Array.from({ length: 256 - from }, (_, i) => i + from).filter((b) => b !== 127 && !excluded.has(b)))
}

/** A token of RFC 9110. */
const tokenBytes = set(`!#$%&'*+-.^_\`|~${alphanumeric}`)
export const method: Automaton.Automaton = Automaton.trimmed(tokenBytes, tokenBytes, false)

/** Methods in the order in which witnesses prefer them. */
export const methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"] as const

/** No controls but tab, no space around: parsers take it off. May be empty. */
export const headerValue: Automaton.Automaton = Automaton.trimmed(from(0x21), new Set([...from(0x20), 9]), true)

/** What `PathNormalization.normalize` lets through: with the query only when some condition looks at it. */
export const path = (
  settings: PathNormalization.RequestNormalization,
  withQuery: boolean
): Automaton.Automaton => {
  const { InsecureDisablePathNormalization, MergeSlashes, PathWithEscapedSlashesAction } = settings
  return pathOnce(
    JSON.stringify([InsecureDisablePathNormalization, MergeSlashes, PathWithEscapedSlashesAction, withQuery]),
    () => {
      const paths = InsecureDisablePathNormalization === true ? rawPath(settings) : normalizedPath(settings)
      return withQuery ? Automaton.withTail(paths, questionMark, queryBytes) : paths
    }
  )
}

const pathOnce = memoize<Automaton.Automaton>(16)

export const questionMark: ReadonlySet<number> = set("?")
const queryBytes = from(0x21, "#")

interface Position {
  /** Of the segment: nothing, dots only, or more. */
  readonly segment: "" | "." | ".." | "more" | "start"
  /** Of an escape: nothing, `%`, or `%` and a digit. */
  readonly escape: string
}

const pathBytes = set(`${alphanumeric}_-~!$&'()*+,:;=@[]./%`)
const unreserved = /[A-Za-z0-9\-._~]/

/** Absolute, without dot segments, and without escapes that are not needed. `%00` is refused. */
const normalizedPath = (settings: PathNormalization.RequestNormalization): Automaton.Automaton =>
  Automaton.discover<Position>(
    { segment: "start", escape: "" },
    ({ escape, segment }) => `${segment} ${escape}`,
    ({ escape, segment }, byte) => {
      const character = String.fromCharCode(byte)
      if (segment === "start") return character === "/" ? { segment: "", escape: "" } : undefined
      if (!pathBytes.has(byte)) return undefined
      const isHex = /[0-9A-Fa-f]/.test(character)
      if (escape.length === 2 && isHex && isExcluded(escape + character, settings)) return undefined
      const nextEscape = character === "%" ? "%" : escape === "%" && isHex ? escape + character : ""
      if (character === "/") {
        return segment === "." || segment === ".." || (segment === "" && settings.MergeSlashes === true)
          ? undefined
          : { segment: "", escape: "" }
      }
      const dots = character === "." && segment === "" ? "." : character === "." && segment === "." ? ".." : "more"
      return { segment: dots, escape: nextEscape }
    },
    ({ segment }) => segment === "" || segment === "more"
  )

const isExcluded = (escape: string, settings: PathNormalization.RequestNormalization): boolean => {
  const code = Number.parseInt(escape.slice(1), 16)
  const character = String.fromCharCode(code)
  return code === 0 || unreserved.test(character) || (removesEscapedSlashes(settings) && /[/\\]/.test(character))
}

const removesEscapedSlashes = ({ PathWithEscapedSlashesAction: action }: PathNormalization.RequestNormalization) =>
  action === "REJECT_REQUEST" || action === "UNESCAPE_AND_FORWARD" || action === "UNESCAPE_AND_REDIRECT"

/** As it came: `*`, or absolute with anything behind that a parser of HTTP lets through. */
const rawPath = (settings: PathNormalization.RequestNormalization): Automaton.Automaton => {
  const bytes = from(0x21, "?#")
  return Automaton.discover(
    "start",
    (state) => state,
    (state, byte) => {
      const character = String.fromCharCode(byte)
      if (state === "start") return character === "/" ? "slash" : character === "*" ? "asterisk" : undefined
      if (state === "asterisk" || !bytes.has(byte)) return undefined
      return character !== "/" ? "more" : state === "slash" && settings.MergeSlashes === true ? undefined : "slash"
    },
    (state) => state !== "start"
  )
}
