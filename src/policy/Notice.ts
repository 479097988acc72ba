/** A finding of any command, from which the formats for CI systems are written. */
import { posix, relative, resolve, sep } from "node:path"
import type * as Origin from "./Origin.ts"

export type Level = "error" | "warning" | "note"

/** What notices of one rule have in common. */
export interface Rule {
  /** `no-boundary` */
  readonly id: string
  readonly level: Level
  /** One sentence: what is the matter. */
  readonly summary: string
  /** What to do about it. */
  readonly help: string
}

export interface Notice {
  /** The id of its rule. */
  readonly rule: string
  readonly level: Level
  readonly message: string
  /** Absent for what is written in no file. */
  readonly origin: Origin.Origin | undefined
  /** What it is about, in names: `web → api`. With the rule it says which notice this is, wherever the lines move to. */
  readonly subject: string
  /** Other places that have to do with it. */
  readonly related: ReadonlyArray<{ readonly message: string; readonly origin: Origin.Origin }>
  /** Why it shall not be heard. */
  readonly silenced?: string | undefined
}

/** What every format says besides. */
export interface Setting {
  /** The folder that paths are told relative to: the checkout, in CI. */
  readonly base: string
  readonly version: string
  /** What has to stand beside every answer, and whether something was not read: then the notices are not all there are. */
  readonly remarks: ReadonlyArray<string>
  readonly complete: boolean
}

/** The path below the base, with slashes, or the whole path of a file that is elsewhere. */
export const pathOf = (file: string, base: string): string => {
  const whole = resolve(base, file)
  const below = relative(base, whole)
  return below.startsWith("..") ? whole.split(sep).join(posix.sep) : below.split(sep).join(posix.sep)
}

/** Where the notice can be shown. What was piped in is in no file. */
export const placeOf = ({ origin }: Notice): Origin.Origin | undefined =>
  origin?.file === "standard input" ? undefined : origin

const ranks: { readonly [L in Level]: number } = { error: 0, warning: 1, note: 2 }

/** What weighs most comes first, and then in order of the files. */
export const compare = (a: Notice, b: Notice): number =>
  ranks[a.level] - ranks[b.level] ||
  compareTexts(a.origin?.file ?? "", b.origin?.file ?? "") ||
  (a.origin?.line ?? 0) - (b.origin?.line ?? 0) ||
  (a.origin?.column ?? 0) - (b.origin?.column ?? 0)

const compareTexts = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

/** `1 error, 2 warnings, 3 notes; 1 silenced` */
export const count = (notices: ReadonlyArray<Notice>): string => {
  const heard = notices.filter(({ silenced }) => silenced === undefined)
  const counted = (["error", "warning", "note"] as const).flatMap((level) => {
    const number = heard.filter((notice) => notice.level === level).length
    return number === 0 ? [] : [`${number} ${level}${number === 1 ? "" : "s"}`]
  })
  const silenced = notices.length - heard.length
  return [
    counted.length === 0 ? "nothing found" : counted.join(", "),
    ...(silenced === 0 ? [] : [`${silenced} silenced`])
  ].join("; ")
}
