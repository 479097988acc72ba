/** What a proxy says of itself in the requests and answers that it sends on, as Envoy does. Each mark can be left out. */

export interface Marks {
  /** The value of `Server` in every answer, instead of the application's. Undefined: that of the application stays. */
  readonly server: string | undefined
  /** Whether answers tell how long the instance took, in `x-envoy-upstream-service-time`. */
  readonly serviceTime: boolean
  /** Whether requests tell how long they may take, in `x-envoy-expected-rq-timeout-ms`. */
  readonly expectedTimeout: boolean
  /** Whether requests tell the path that a route has replaced, in `x-envoy-original-path`. */
  readonly originalPath: boolean
}

/** Clients and applications of Envoy's sidecars may rely on them. */
export const envoy: Marks = { server: "envoy", serviceTime: true, expectedTimeout: true, originalPath: true }

/** Nothing of all that. */
export const none: Marks = { server: undefined, serviceTime: false, expectedTimeout: false, originalPath: false }

let second = 0
let line = ""

/** `date: …` of now, with its CRLF. */
export const date = (): string => {
  const now = Math.floor(Date.now() / 1000)
  if (now !== second) {
    second = now
    line = `date: ${new Date(now * 1000).toUTCString()}\r\n`
  }
  return line
}

/** The lines of an answer that the proxy makes itself. */
export const own = ({ server }: Marks): string => server === undefined ? date() : `${date()}server: ${server}\r\n`
