/**
 * `x-forwarded-client-cert`: elements separated by commas, each `Key=Value;Key=Value`, values quoted where they contain
 * such characters. Only one caller is trusted to write it: the local mesh gateway.
 */

/** The `URI` of the first element: the caller that the gateway accepted. `undefined` if there is none, or if it is ambiguous. */
export const firstUri = (header: string): string | undefined => {
  let uri: string | undefined
  let rest = header
  for (;;) {
    const pair = /^\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;]*))\s*(;|,|$)/.exec(rest)
    if (pair === null) return undefined
    if (pair[1]!.toLowerCase() === "uri") {
      // Two identities in one element are ambiguous.
      if (uri !== undefined) return undefined
      uri = pair[2] === undefined ? pair[3]! : pair[2].replace(/\\(.)/g, "$1")
    }
    if (pair[4] !== ";") return uri
    rest = rest.slice(pair[0].length)
  }
}
