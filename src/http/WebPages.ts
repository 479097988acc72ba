/**
 * Keeps web pages out of a server on this machine. It gives away what is nobody else's business and changes things, and a browser
 * on the same machine would carry any page's requests to it: directly, or under a name of the page's own that leads here (DNS
 * rebinding). Programs that call it on purpose use an address or `localhost`, and send none of a browser's headers.
 */
import { isIP } from "node:net"

export interface Request {
  readonly headers: { readonly [name: string]: string | undefined }
}

export interface Server {
  /** For the refusal: `the development agent`. */
  readonly name: string
  /** Names that lead here on purpose. */
  readonly allowedHosts: ReadonlyArray<string>
  /** How to allow another name, for the refusal: `start it with --allow-host`. Undefined: there is no way. */
  readonly toAllow?: string | undefined
}

/** What is wrong with a request, and its status. Undefined: it may go on. */
export const refusal = (
  { headers }: Request,
  { allowedHosts, name, toAllow }: Server
): { readonly status: number; readonly body: string } | undefined => {
  const { host, origin } = headers
  // Browsers always send one; a program that speaks HTTP/1.0 need not.
  if (host !== undefined && !isOurs(host, allowedHosts)) {
    return {
      status: 400,
      body: `${name} is not known as ${JSON.stringify(host)}: a web page could lead a browser here under ` +
        `such a name. Ask for it by IP address or as localhost${
          toAllow === undefined ? "" : `, or ${toAllow} ${nameOf(host) || "NAME"}`
        }`
    }
  }
  if (origin !== undefined && origin.toLowerCase() !== `http://${host ?? ""}`.toLowerCase()) {
    return { status: 403, body: `${name} takes no requests of web pages, and this one is of ${origin}` }
  }
  const site = headers["sec-fetch-site"]
  return site === undefined || site === "none" || site === "same-origin"
    ? undefined
    : { status: 403, body: `${name} takes no requests of web pages, and this one is ${site}` }
}

const isOurs = (host: string, allowedHosts: ReadonlyArray<string>): boolean => {
  const name = nameOf(host)
  return name === "localhost" || name.endsWith(".localhost") || isIP(name) !== 0 ||
    allowedHosts.some((allowed) => nameOf(allowed) === name)
}

/** Without port, brackets and a last dot, in lower case. */
const nameOf = (host: string): string =>
  (/^\[([^\]]*)\](?::\d*)?$/.exec(host)?.[1] ?? host.replace(/:\d*$/, "")).replace(/\.$/, "").toLowerCase()
