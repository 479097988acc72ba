/** What a connection is doing when it is cut. */
export const kinds = [
  "bare TLS",
  "raw",
  "HTTP/1.1 idle",
  "HTTP/1.1 at hand",
  "HTTP/2 idle",
  "HTTP/2 at hand"
] as const

/** `bare TLS` is no mesh: plain `node:tls`, whose connections are destroyed in a loop. */
export type Kind = typeof kinds[number]

export const isHttp = (kind: Kind): boolean => kind.startsWith("HTTP/")
