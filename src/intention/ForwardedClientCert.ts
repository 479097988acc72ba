/**
 * `x-forwarded-client-cert`: elements separated by commas, each `Key=Value;Key=Value`, values quoted where they contain
 * such characters. Worth something only from a caller that is trusted to write it: the local mesh gateway.
 */

/** The `URI` of the first element: whom the gateway accepted. `undefined` when there is none, or it cannot be told. */
export const firstUri = (header: string): string | undefined => {
  let uri: string | undefined
  let rest = header
  for (;;) {
    const pair = /^\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;]*))\s*(;|,|$)/.exec(rest)
    if (pair === null) return undefined
    if (pair[1]!.toLowerCase() === "uri") {
      // Two identities in one element: nobody can say which one is meant.
      if (uri !== undefined) return undefined
      uri = pair[2] === undefined ? pair[3]! : pair[2].replace(/\\(.)/g, "$1")
    }
    if (pair[4] !== ";") return uri
    rest = rest.slice(pair[0].length)
  }
}
