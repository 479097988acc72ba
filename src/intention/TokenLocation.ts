/** Where requests carry tokens, and what is forwarded of them. Verifying a token is done elsewhere. */
import type * as HttpRequest from "./HttpRequest.ts"

export type TokenLocation =
  | { readonly _tag: "Header"; readonly name: string; readonly prefix: string }
  | { readonly _tag: "Query"; readonly name: string }
  | { readonly _tag: "Cookie"; readonly name: string }

/** Of a provider that lists none. */
export const defaults: ReadonlyArray<TokenLocation> = [
  { _tag: "Header", name: "authorization", prefix: "Bearer " },
  { _tag: "Query", name: "access_token" }
]

/** The text there, if it has the form of a token. */
export const find = (location: TokenLocation, request: HttpRequest.HttpRequest): string | undefined => {
  switch (location._tag) {
    case "Header": {
      const value = request.header(location.name.toLowerCase())
      return value?.startsWith(location.prefix) === true ? token(value.slice(location.prefix.length)) : undefined
    }
    case "Query":
      return token(queryParameter(request.path, location.name))
    case "Cookie":
      return token(cookie(request.header("cookie") ?? "", location.name))
  }
}

/** Whether the text there may be taken for a token by a reader that is less strict than `find`. */
export const isTaken = (location: TokenLocation, request: HttpRequest.HttpRequest): boolean => {
  switch (location._tag) {
    case "Header": {
      const value = request.header(location.name.toLowerCase())
      return value?.toLowerCase().includes(location.prefix.trim().toLowerCase()) === true
    }
    case "Query":
      return queryParameter(request.path, location.name) !== undefined
    case "Cookie":
      return false
  }
}

/** Three parts of base64url, and nothing else: what comes with another line of the header, or behind a comma, is no token. */
const token = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : /^\s*([\w-]+\.[\w-]+\.[\w-]*)\s*$/.exec(text)?.[1]

const queryParameter = (target: string, name: string): string | undefined => {
  const at = target.indexOf("?")
  return at === -1 ? undefined : new URLSearchParams(target.slice(at + 1)).get(name) ?? undefined
}

const cookie = (header: string, name: string): string | undefined => {
  for (const pair of header.split(";")) {
    const at = pair.indexOf("=")
    if (at !== -1 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim().replace(/^"(.*)"$/, "$1")
  }
  return undefined
}
