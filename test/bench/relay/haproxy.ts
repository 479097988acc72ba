/** Configurations for HAProxy doing the same work: mutual TLS both ways, no resumption, one thread as a Node process has. */
import type * as Pair from "./Pair.ts"

/** `pem` holds chain and key of the side, `ca` the root; `port` is where it listens. */
export const config = (role: Pair.Side["role"], files: { readonly pem: string; readonly ca: string }, options: {
  readonly port: number
  readonly target: number
}): string => {
  const inbound = role === "inbound"
  const tls = `ssl crt ${files.pem} ca-file ${files.ca} verify required no-tls-tickets`
  return `
global
  nbthread 1
  maxconn 4000
  tune.ssl.cachesize 0
defaults
  mode tcp
  timeout connect 5s
  timeout client 5m
  timeout server 5m
listen relay
  bind 127.0.0.1:${options.port} ${inbound ? tls : ""}
  server next 127.0.0.1:${options.target} ${inbound ? "" : `${tls} no-ssl-reuse`}
`
}
