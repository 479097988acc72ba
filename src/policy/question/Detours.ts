/**
 * Other spellings of a path that many servers take for the same, and that conditions do not: `//`, letter case, escapes,
 * parameters (`;`), dot segments. Where a permission denies one and another one allows the other, the denial can be got around.
 */
import * as Bytes from "../../intention/Bytes.ts"
import * as PathNormalization from "../../intention/PathNormalization.ts"

export interface Detour {
  readonly kind: "slashes" | "letter case" | "escapes" | "parameters" | "dots"
  /** As it is matched: after normalisation. */
  readonly path: string
}

/** Other spellings of this path, as far as normalisation leaves them to be others. Paths are in bytes, and as they are matched. */
export const around = (
  path: string,
  settings: PathNormalization.RequestNormalization
): ReadonlyArray<Detour> => {
  const cut = withoutQuery(path)
  const escapeOne = (text: string, which: RegExp) =>
    text.replace(which, (found) => `%${found.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`)
  const last = /\/[^/]+(?=\/?$)/
  return apart(cut, settings, [
    ["slashes", cut.replace(last, "/$&")],
    ["slashes", `/${cut}`],
    ["slashes", cut.replace(last, "\\$&").replace("\\/", "\\")],
    ["letter case", cut.toUpperCase()],
    ["letter case", cut.replace(last, (segment) => segment.toUpperCase())],
    ["escapes", cut.replace(last, (segment) => escapeOne(segment, /[A-Za-z0-9]/))],
    ["escapes", cut.replace(/(?<=[^/])\/(?=[^/])/, "%2F")],
    ["parameters", cut.replace(last, "$&;a")],
    ["parameters", cut.replace(/^\/[^/]+/, "$&;a")],
    ["dots", cut.replace(last, "/.$&")],
    ["dots", `/a/..${cut}`]
  ])
}

/** What servers may take this path for. */
export const readings = (
  path: string,
  settings: PathNormalization.RequestNormalization
): ReadonlyArray<Detour> => {
  const cut = withoutQuery(path)
  const unescaped = cut.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  const merged = (text: string) => text.replace(/[\\/]+/g, "/")
  const plain = (text: string) => text.replace(/;[^/]*/g, "")
  const dotless = PathNormalization.normalize(merged(cut).replace(/[?#]/g, ""))
  return apart(cut, settings, [
    ["slashes", merged(cut)],
    ["letter case", cut.toLowerCase()],
    ["escapes", unescaped],
    ["parameters", plain(cut)],
    ["dots", dotless._tag === "Path" ? dotless.path : cut],
    ["escapes", plain(merged(unescaped)).toLowerCase()]
  ])
}

const apart = (
  path: string,
  settings: PathNormalization.RequestNormalization,
  spellings: ReadonlyArray<readonly [Detour["kind"], string]>
): ReadonlyArray<Detour> => {
  const found = new Map<string, Detour>()
  for (const [kind, spelling] of spellings) {
    // The line of a request has no space, and a target no fragment.
    if (/[\0-\x20#]/.test(spelling) || !spelling.startsWith("/")) continue
    const normalized = PathNormalization.normalize(spelling, settings)
    if (normalized._tag === "Rejected" || normalized.path === path || found.has(normalized.path)) continue
    found.set(normalized.path, { kind, path: normalized.path })
  }
  return [...found.values()]
}

const withoutQuery = (path: string): string => path.split("?")[0]!

/** For people. */
export const show = ({ path }: Detour): string => Bytes.toText(path) ?? path
