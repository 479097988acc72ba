/**
 * Keeps web pages out. The API gives private keys away and opens services to callers, and a browser on the same machine would
 * carry any page's requests to it: directly, or under a name of the page's own that leads here (DNS rebinding). Programs that
 * call it on purpose use an address or `localhost`, and send none of a browser's headers.
 */
import { isIP } from "node:net"

export interface Request {
  readonly headers: { readonly [name: string]: string | undefined }
}

/** What is wrong with a request, and its status. Undefined: it may go on. `allowedHosts` are names that lead here on purpose. */
export const refusal = (
  { headers }: Request,
  allowedHosts: ReadonlyArray<string>
): { readonly status: number; readonly body: string } | undefined => {
  const { host, origin } = headers
  // Browsers always send one; a program that speaks HTTP/1.0 need not.
  if (host !== undefined && !isOurs(host, allowedHosts)) {
    return {
      status: 400,
      body:
        `the development agent is not known as ${JSON.stringify(host)}: a web page could lead a browser here under ` +
        `such a name. Ask for it by IP address or as localhost, or start it with --allow-host ${nameOf(host) || "NAME"}`
    }
  }
  if (origin !== undefined && origin.toLowerCase() !== `http://${host ?? ""}`.toLowerCase()) {
    return { status: 403, body: `the development agent takes no requests of web pages, and this one is of ${origin}` }
  }
  const site = headers["sec-fetch-site"]
  return site === undefined || site === "none" || site === "same-origin"
    ? undefined
    : { status: 403, body: `the development agent takes no requests of web pages, and this one is ${site}` }
}

const isOurs = (host: string, allowedHosts: ReadonlyArray<string>): boolean => {
  const name = nameOf(host)
  return name === "localhost" || name.endsWith(".localhost") || isIP(name) !== 0 ||
    allowedHosts.some((allowed) => nameOf(allowed) === name)
}

/** Without port, brackets and a last dot, in lower case. */
const nameOf = (host: string): string =>
  (/^\[([^\]]*)\](?::\d*)?$/.exec(host)?.[1] ?? host.replace(/:\d*$/, "")).replace(/\.$/, "").toLowerCase()
