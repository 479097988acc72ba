/** What the applications of a mesh have received, in order. */
import { createHash } from "node:crypto"
import type { Readable } from "node:stream"

/** A request. Its body is noted as it comes. */
export interface Seen {
  readonly instance: string
  readonly version: string
  readonly method: string
  readonly target: string
  readonly headers: ReadonlyArray<string>
  bodyBytes: number
  body?: string
  bodySha256?: string
  trailers?: ReadonlyArray<string>
  aborted?: true
}

/** Longer bodies are noted by their hash. */
const short = 200

export const make = () => {
  let seen: Array<Seen> = []
  return {
    list: (): ReadonlyArray<Seen> => seen,
    forget: () => {
      seen = []
    },
    /** Notes a request. Resolves once its body has come, or nothing more will. */
    note: (
      request: Omit<Seen, "bodyBytes">,
      stream: Readable,
      trailers: () => ReadonlyArray<string>
    ): Promise<void> => {
      const entry: Seen = { ...request, bodyBytes: 0 }
      seen.push(entry)
      return follow(entry, stream, trailers)
    }
  }
}

export type Journal = ReturnType<typeof make>

const follow = (entry: Seen, stream: Readable, trailers: () => ReadonlyArray<string>): Promise<void> => {
  const hash = createHash("sha256")
  let text = ""
  stream.on("data", (bytes: Buffer) => {
    entry.bodyBytes += bytes.length
    hash.update(bytes)
    if (text.length <= short) text += bytes.toString("latin1")
  })
  stream.on("error", () => {})
  return new Promise((resolve) => {
    stream.on("end", () => {
      if (entry.bodyBytes > short) entry.bodySha256 = hash.digest("hex")
      else if (entry.bodyBytes > 0) entry.body = text
      const lines = trailers()
      if (lines.length > 0) entry.trailers = lines
      resolve()
    })
    stream.on("close", () => {
      if (!stream.readableEnded) entry.aborted = true
      resolve()
    })
  })
}

/** Names and values in turn, as Node has them, as lines. */
export const linesOf = (raw: ReadonlyArray<string>): ReadonlyArray<string> =>
  raw.flatMap((name, i) => i % 2 === 0 ? [`${name}: ${raw[i + 1]}`] : [])
