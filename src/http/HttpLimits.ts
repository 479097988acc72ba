/** What a peer may make an HTTP server hold, and for how long. */
import { Duration } from "effect"

export interface HttpLimits {
  /** For the headers of a request over HTTP/1.1, and for the beginning of a connection over HTTP/2. Default: 10 seconds. */
  readonly headersTimeout?: Duration.Input | undefined
  /** For the body of a request to arrive, streamed ones included. Default: no limit. */
  readonly bodyTimeout?: Duration.Input | undefined
  /** How long a client may take nothing of what waits to be sent to it. Default: 5 minutes. */
  readonly stallTimeout?: Duration.Input | undefined
  /** How long a connection may be kept without a request. Default: 65 seconds. */
  readonly idleTimeout?: Duration.Input | undefined
  /** Of all headers of a request together. Beyond it the answer is 431. Default: 60 KiB, as in Consul's sidecars. */
  readonly maxHeaderBytes?: number | undefined
  /** Requests at once on one HTTP/1.1 connection, of clients that do not wait for the answer. Default: 32. */
  readonly maxPipelined?: number | undefined
  /** Requests at once on one HTTP/2 connection. Default: 256. */
  readonly maxConcurrentStreams?: number | undefined
  /** What one HTTP/2 connection may use, in megabytes. Default: 10. */
  readonly maxSessionMemory?: number | undefined
  /**
   * HTTP/2 streams that a peer may open and end before they are answered, by a reset or by sending what causes one: at once,
   * and per second in the long run. Default: 1000 and 33.
   */
  readonly streamResets?: { readonly burst: number; readonly rate: number } | undefined
}

/** With every default filled in; times are milliseconds. */
export interface Limits {
  readonly headersMillis: number
  /** 0: no limit. */
  readonly bodyMillis: number
  readonly stallMillis: number
  readonly idleMillis: number
  readonly maxHeaderBytes: number
  readonly maxPipelined: number
  readonly maxConcurrentStreams: number
  readonly maxSessionMemory: number
  readonly streamResets: { readonly burst: number; readonly rate: number }
}

export const complete = (limits: HttpLimits = {}): Limits => ({
  headersMillis: millis(limits.headersTimeout ?? "10 seconds"),
  bodyMillis: millis(limits.bodyTimeout ?? 0),
  stallMillis: millis(limits.stallTimeout ?? "5 minutes"),
  idleMillis: millis(limits.idleTimeout ?? "65 seconds"),
  maxHeaderBytes: limits.maxHeaderBytes ?? 60 * 1024,
  maxPipelined: limits.maxPipelined ?? 32,
  maxConcurrentStreams: limits.maxConcurrentStreams ?? 256,
  maxSessionMemory: limits.maxSessionMemory ?? 10,
  streamResets: limits.streamResets ?? { burst: 1000, rate: 33 }
})

/** How often to look for what takes too long, in milliseconds. */
export const interval = ({ bodyMillis, headersMillis, idleMillis, stallMillis }: Limits): number =>
  Math.max(50, Math.min(4000, headersMillis, idleMillis, stallMillis, bodyMillis || Infinity) / 4)

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))
