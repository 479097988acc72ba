/** Where something listens: a port, or a unix socket. */
export type Address = { readonly host: string; readonly port: number } | {
  readonly path: string
  /** File mode bits of the socket; absent: as the process creates it. */
  readonly mode?: number | undefined
}

export const ports = "a whole number up to 65535"

/** 0, which is none, included. */
export const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65_535
