/** What a peer may make an HTTP server hold, and for how long. */
import { Duration } from "effect"

export interface HttpLimits {
  /** For the headers of a request over HTTP/1.1, and for the beginning of a connection over HTTP/2. Default: 10 seconds. */
  readonly headersTimeout?: Duration.Input | undefined
  /** How long a connection may be kept without a request. Default: 65 seconds. */
  readonly idleTimeout?: Duration.Input | undefined
  /** Of all headers of a request together. Beyond it the answer is 431. Default: 60 KiB, as in Consul's sidecars. */
  readonly maxHeaderBytes?: number | undefined
  /** Requests at once on one HTTP/2 connection. Default: 256. */
  readonly maxConcurrentStreams?: number | undefined
  /** What one HTTP/2 connection may use, in megabytes. Default: 10. */
  readonly maxSessionMemory?: number | undefined
  /** HTTP/2 streams that a peer may open and cancel: at once, and per second in the long run. Default: 1000 and 33. */
  readonly streamResets?: { readonly burst: number; readonly rate: number } | undefined
}

/** With every default filled in; times are milliseconds. */
export interface Limits {
  readonly headersMillis: number
  readonly idleMillis: number
  readonly maxHeaderBytes: number
  readonly maxConcurrentStreams: number
  readonly maxSessionMemory: number
  readonly streamResets: { readonly burst: number; readonly rate: number }
}

export const complete = (limits: HttpLimits = {}): Limits => ({
  headersMillis: millis(limits.headersTimeout ?? "10 seconds"),
  idleMillis: millis(limits.idleTimeout ?? "65 seconds"),
  maxHeaderBytes: limits.maxHeaderBytes ?? 60 * 1024,
  maxConcurrentStreams: limits.maxConcurrentStreams ?? 256,
  maxSessionMemory: limits.maxSessionMemory ?? 10,
  streamResets: limits.streamResets ?? { burst: 1000, rate: 33 }
})

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))
