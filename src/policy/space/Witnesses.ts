/** Requests that show something: as text, and as requests. */
import * as Bytes from "../../intention/Bytes.ts"
import * as Decision from "../../intention/Decision.ts"
import * as HttpRequest from "../../intention/HttpRequest.ts"
import type * as TokenRequirement from "../../intention/TokenRequirement.ts"
import type * as Analysis from "./Analysis.ts"

export const toRequest = ({ headers, method, path }: Analysis.Witness): HttpRequest.HttpRequest =>
  HttpRequest.fromRaw(method, path, headers.flat())

export const toTokens = ({ tokens }: Analysis.Witness): TokenRequirement.Tokens => {
  const byProvider = new Map(tokens)
  return (provider) => byProvider.get(provider)
}

/** `GET /v1, x-team: "red", a token of okta with {"role":"admin"}` */
export const describe = ({ headers, method, path, tokens }: Analysis.Witness): string =>
  [
    `${method} ${show(path)}`,
    ...headers.map(([name, value]) => `${name}: "${show(value)}"`),
    ...tokens.map(([provider, claims]) =>
      `a token of ${provider}${Object.keys(claims).length === 0 ? "" : ` with ${JSON.stringify(claims)}`}`
    )
  ].join(", ")

/** For machines. Bytes that are no text are shown as `\xff`. */
export const toJson = ({ headers, method, path, tokens }: Analysis.Witness) => ({
  method,
  path: show(path),
  ...(headers.length === 0 ? {} : { headers: headersToJson(headers) }),
  ...(tokens.length === 0 ? {} : { tokens: Object.fromEntries(tokens) })
})

/** A text for one line, a list for several. */
const headersToJson = (headers: Analysis.Witness["headers"]) => {
  const lines = new Map<string, Array<string>>()
  for (const [name, value] of headers) lines.set(name, [...lines.get(name) ?? [], show(value)])
  return Object.fromEntries(Array.from(lines, ([name, values]) => [name, values.length === 1 ? values[0]! : values]))
}

/** Why, in the words of `Decision.explain`. */
export const because = (outcome: Analysis.Outcome, rule: Decision.Rule | undefined): string =>
  Decision.explain(
    Decision.make(
      outcome.allowed,
      outcome.because,
      rule,
      outcome.permission,
      outcome.because === "token-missing"
        ? providers(rule, outcome.permission)
        : outcome.because === "undecidable"
        ? "something in it is not understood, or the request is not encoded in UTF-8"
        : undefined
    )
  )

const providers = (rule: Decision.Rule | undefined, permission: number | undefined): string => {
  const jwt = permission === undefined ? rule?.intention.JWT : rule?.intention.Permissions?.[permission]?.JWT
  return (jwt?.Providers ?? []).map((provider) => provider.Name || "?").join(" or ")
}

const show = (bytes: string): string =>
  (Bytes.toText(bytes) ?? bytes.replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`))
    // eslint-disable-next-line no-control-regex -- tabs, in header values
    .replace(
      /[\0-\x1f"\\]/g,
      (byte) => byte >= " " ? `\\${byte}` : `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`
    )
