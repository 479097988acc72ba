/**
 * Who may ask the admin interface, and for what. What only reads is open to everybody who reaches the address; what changes
 * something needs the token, or the Unix socket, which only the user of this process may open. Web pages are kept out of both.
 */
import { createHash, timingSafeEqual } from "node:crypto"
import { Redacted } from "effect"
import * as WebPages from "../http/WebPages.ts"

export interface Request extends WebPages.Request {
  readonly method: string
}

export interface Refusal {
  readonly status: number
  readonly body: string
}

/** How changes are allowed. */
export type Changes =
  /** Whoever reaches the socket may. */
  | { readonly _tag: "Socket" }
  /** Whoever reaches the port may, and its own page. */
  | { readonly _tag: "Anybody" }
  | { readonly _tag: "Token"; readonly token: Redacted.Redacted<string> }
  | { readonly _tag: "Nobody"; readonly why: string }

/** Undefined: it may go on. */
export const refusal = (request: Request, changes: Changes): Refusal | undefined => {
  const page = changes._tag === "Socket"
    ? pageOfBrowser(request)
    : WebPages.refusal(request, { name: "the admin interface", allowedHosts: [] })
  if (page !== undefined) return page
  if (request.method === "GET" || request.method === "HEAD") return undefined
  if (changes._tag === "Socket" || changes._tag === "Anybody") return undefined
  if (changes._tag === "Nobody") return { status: 403, body: changes.why }
  const presented = /^bearer +(\S+) *$/i.exec(request.headers["authorization"] ?? "")?.[1]
  if (presented === undefined) {
    return { status: 401, body: "this changes something, and needs the token: send Authorization: Bearer TOKEN" }
  }
  return isSame(presented, Redacted.value(changes.token))
    ? undefined
    : { status: 403, body: "this is not the token of --admin-token-file" }
}

/** No browser opens a Unix socket, whoever may have put a server before it. */
const pageOfBrowser = ({ headers }: Request): Refusal | undefined =>
  headers["origin"] === undefined && (headers["sec-fetch-site"] ?? "none") === "none"
    ? undefined
    : { status: 403, body: "the admin interface takes no requests of web pages over its Unix socket" }

/** Takes the same time wherever they differ, and whatever their lengths. */
const isSame = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other))

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()
