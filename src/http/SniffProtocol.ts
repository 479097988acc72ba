/**
 * Which version of HTTP a client speaks: the one that ALPN agreed on, else the one that its first bytes show. A client may
 * start HTTP/2 without ALPN if it knows that the server speaks it (RFC 9113, section 3.3).
 */
import type * as Splice from "../net/Splice.ts"

/** A version of HTTP, as ALPN names it. */
export type Protocol = "h2" | "http/1.1"

/** What is known before the client has sent anything. Undefined: its first bytes are to tell. */
export const agreed = (alpn: string | false | null, spoken: ReadonlyArray<Protocol>): Protocol | undefined => {
  if (alpn === "h2" || !spoken.includes("http/1.1")) return "h2"
  return alpn === "http/1.1" || !spoken.includes("h2") ? "http/1.1" : undefined
}

/** How every HTTP/2 connection begins, as far as no HTTP/1.1 request does. */
const preface = "PRI * HTTP/2.0"

/** What the first bytes of a connection tell. */
export const sniff = (head: Buffer): Protocol | "undecided" => {
  const start = head.toString("latin1", 0, preface.length)
  return start === preface ? "h2" : preface.startsWith(start) ? "undecided" : "http/1.1"
}

export interface Handlers {
  /** What was read is back in the socket. */
  readonly decided: (protocol: Protocol) => void
  /** It did not tell in time. */
  readonly late: () => void
}

const none = Buffer.alloc(0)

/** Reads as much as is needed. A client that ends its side before it tells loses its connection. */
export const read = (socket: Splice.Stream, millis: number, { decided, late }: Handlers): void => {
  let head: Buffer = none
  const timer = setTimeout(late, millis)
  const look = () => {
    const chunk: Buffer | null = socket.read()
    if (chunk !== null) head = head === none ? chunk : Buffer.concat([head, chunk])
    const protocol = sniff(head)
    if (protocol === "undecided" && !socket.readableEnded && !socket.destroyed) return
    clearTimeout(timer)
    socket.off("readable", look).off("end", look).off("close", look)
    if (socket.destroyed) return
    if (protocol === "undecided") return socket.destroySoon()
    socket.unshift(head)
    decided(protocol)
  }
  socket.on("readable", look).on("end", look).on("close", look)
}
