/** Configurations for HAProxy doing the same work: mutual TLS both ways, no resumption, one thread as a Node process has. */
import type * as Pair from "./Pair.ts"

/**
 * `pem` holds chain and key of the side, `ca` the root; `port` is where it listens. The cipher suite is the one that the other proxies
 * agree on. In mode `http`, requests of all connections share kept ones to the next hop, as in other proxies, and get an id where they
 * have none.
 */
export const config = (role: Pair.Side["role"], files: { readonly pem: string; readonly ca: string }, options: {
  readonly port: number
  readonly target: number
  readonly mode?: "tcp" | "http"
}): string => {
  const inbound = role === "inbound"
  const http = options.mode === "http"
  const tls =
    `ssl crt ${files.pem} ca-file ${files.ca} verify required no-tls-tickets ciphersuites TLS_AES_128_GCM_SHA256`
  return `
global
  nbthread 1
  maxconn 4000
  tune.ssl.cachesize 0
defaults
  mode ${options.mode ?? "tcp"}
  timeout connect 5s
  timeout client 5m
  timeout server 5m
  ${http ? "http-reuse always" : ""}
listen relay
  bind 127.0.0.1:${options.port} ${inbound ? tls : ""}
  ${http && !inbound ? "http-request set-header x-request-id %[uuid()] unless { req.hdr(x-request-id) -m found }" : ""}
  server next 127.0.0.1:${options.target} ${inbound ? "" : `${tls} no-ssl-reuse`} ${http ? "pool-purge-delay 5m" : ""}
`
}
