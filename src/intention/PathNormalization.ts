/**
 * What a sidecar makes of the path of an inbound request before it matches permissions: it matches on the result **and
 * forwards the result**, so that the application never sees another path than the one that was judged.
 *
 * The settings are those of the `mesh` config entry, `HTTP.Incoming.RequestNormalization`, in its spelling. The steps and
 * their order are Envoy's: escaped slashes, then RFC 3986, then runs of slashes. The query is never touched.
 * Paths hold one character for each byte, as Node hands them out, and start after scheme and authority.
 */

/** Absent settings have the defaults of Consul: normalise by RFC 3986, keep runs of slashes and escaped slashes. */
export interface RequestNormalization {
  readonly InsecureDisablePathNormalization?: boolean | undefined
  readonly MergeSlashes?: boolean | undefined
  /** `REJECT_REQUEST`, `UNESCAPE_AND_FORWARD` or `UNESCAPE_AND_REDIRECT`. Everything else keeps `%2F` and `%5C`. */
  readonly PathWithEscapedSlashesAction?: string | undefined
}

export type Normalized =
  /** Match and forward this. */
  | { readonly _tag: "Path"; readonly path: string }
  /** Answer 307 with this location. */
  | { readonly _tag: "Redirect"; readonly path: string }
  /** Answer 400. */
  | { readonly _tag: "Rejected"; readonly why: string }

export const normalize = (target: string, settings: RequestNormalization = {}): Normalized => {
  if (target.includes("#")) return rejected("the path has a fragment")
  const queryAt = target.indexOf("?")
  const query = queryAt === -1 ? "" : target.slice(queryAt)
  let path = queryAt === -1 ? target : target.slice(0, queryAt)
  let redirect = false

  const action = settings.PathWithEscapedSlashesAction
  if (escapedSlashActions.has(action) && /%(?:2f|5c)/i.test(path)) {
    if (action === "REJECT_REQUEST") return rejected("the path has an escaped slash")
    path = path.replace(/%2f/gi, "/").replace(/%5c/gi, "\\")
    redirect = action === "UNESCAPE_AND_REDIRECT"
  }

  if (settings.InsecureDisablePathNormalization !== true) {
    // Most paths have nothing to normalise: one look tells.
    if (!plain.test(path)) {
      if (/\0|%00/.test(path)) return rejected("the path has a NUL")
      path = withoutDotSegments(canonicalCharacters(path))
    }
  }

  if (settings.MergeSlashes === true) path = path.replace(/\/{2,}/g, "/")
  return { _tag: redirect ? "Redirect" : "Path", path: path + query }
}

const rejected = (why: string): Normalized => ({ _tag: "Rejected", why })

const escapedSlashActions: ReadonlySet<string | undefined> = new Set([
  "REJECT_REQUEST",
  "UNESCAPE_AND_FORWARD",
  "UNESCAPE_AND_REDIRECT"
])

/** Absolute, without escapes, backslashes, characters to escape, or a dot that starts a segment. */
const plain = /^(?:\/(?:[\w\-~!$&'()*+,:;=@[\]][\w\-~!$&'()*+,:;=@[\].]*)?)+$/

/**
 * Unescapes what needs no escape and escapes what does; `\` becomes `/`. Other escapes stay as they are, in their case.
 * A `%` that starts no escape stays too, unless another `%` is, or comes to be, right behind it: then unescaping could make it
 * start one.
 */
const canonicalCharacters = (path: string): string =>
  path.replace(
    /%([0-9A-Fa-f]{2})|%(?=[0-9A-Fa-f]?[^\w\-~!$&'()*+,:;=@[\]./\\])|\\|[^\w\-~!$&'()*+,:;=@[\]./%]/g,
    (found, hex: string | undefined) => {
      if (hex !== undefined) {
        const character = String.fromCharCode(Number.parseInt(hex, 16))
        return /[A-Za-z0-9\-._~]/.test(character) ? character : found
      }
      return found === "\\" ? "/" : `%${found.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`
    }
  )

/** RFC 3986, section 5.2.4. Empty segments count as segments: `/a//../b` is `/a/b`. */
const withoutDotSegments = (path: string): string => {
  const segments = (path.startsWith("/") ? path.slice(1) : path).split("/")
  const kept: Array<string> = []
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1
    if (segment === "..") kept.pop()
    if (segment !== "." && segment !== "..") kept.push(segment)
    else if (last) kept.push("")
  })
  return `/${kept.join("/")}`
}
