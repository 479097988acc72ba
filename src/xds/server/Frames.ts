/** Messages of gRPC in a stream of bytes: a flag, a length, and the message. */

/** The peer sent what is no message, or one that is too long: the call is over. */
export interface Broken {
  /** A status of gRPC. */
  readonly status: number
  readonly why: string
}

export interface Reader {
  /** The messages that are complete now. */
  readonly push: (chunk: Uint8Array) => ReadonlyArray<Uint8Array> | Broken
}

const headLength = 5

/** Far more than an Envoy ever says. */
export const mostBytes = 16 * 1024 * 1024

export const reader = (most = mostBytes): Reader => {
  let rest: Buffer = Buffer.alloc(0)
  return {
    push: (chunk) => {
      rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
      const messages: Array<Uint8Array> = []
      while (rest.length >= headLength) {
        if (rest[0] !== 0) return { status: 12, why: "compressed messages are not understood: send them as they are" }
        const length = rest.readUInt32BE(1)
        if (length > most) return { status: 8, why: `a message of ${length} bytes: up to ${most} are taken` }
        if (rest.length < headLength + length) break
        messages.push(rest.subarray(headLength, headLength + length))
        rest = rest.subarray(headLength + length)
      }
      return messages
    }
  }
}

export const frame = (message: Uint8Array): Buffer => {
  const framed = Buffer.allocUnsafe(headLength + message.length)
  framed[0] = 0
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, headLength)
  return framed
}
