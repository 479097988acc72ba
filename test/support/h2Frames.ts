/** Frames of HTTP/2 written by hand (RFC 9113, section 4 and 6), for clients that do what no library does. */

export const type = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9
} as const

const endStream = 1
const endHeaders = 4

/** Any frame. `length` is what its header claims. */
export const frame = (
  kind: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
  length = payload.length
): Buffer => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(length, 0, 3)
  head[3] = kind
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

const uint32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}

/** What a client says first, with its settings by number. */
export const preface = (settings: Readonly<Record<number, number>> = {}): Buffer =>
  Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    frame(
      type.settings,
      0,
      0,
      Buffer.concat(
        Object.entries(settings).map(([id, value]) => Buffer.concat([Buffer.from([0, Number(id)]), uint32(value)]))
      )
    )
  ])

/** `SETTINGS_INITIAL_WINDOW_SIZE` */
export const initialWindow = 4

/** A header as HPACK has it without a table. Shorter than 127 bytes each. */
export const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)])

/** The headers of a request to `api`. */
export const request = (method: "GET" | "POST", path: string): Buffer =>
  Buffer.concat([
    Buffer.from([method === "GET" ? 0x82 : 0x83, 0x87, 0x44, path.length]),
    Buffer.from(path),
    Buffer.from([0x41, 3]),
    Buffer.from("api")
  ])

export const get = (stream: number, path: string): Buffer =>
  frame(type.headers, endStream | endHeaders, stream, request("GET", path))

/** A request whose body is to follow. */
export const post = (stream: number, path: string): Buffer =>
  frame(type.headers, endHeaders, stream, request("POST", path))

/** Headers that go on in CONTINUATION frames. */
export const openHeaders = (stream: number, block: Buffer): Buffer => frame(type.headers, endStream, stream, block)

export const continuation = (stream: number, block: Buffer, last = false): Buffer =>
  frame(type.continuation, last ? endHeaders : 0, stream, block)

export const data = (stream: number, payload: Buffer, last = false): Buffer =>
  frame(type.data, last ? endStream : 0, stream, payload)

export const rstStream = (stream: number, code: number): Buffer => frame(type.rstStream, 0, stream, uint32(code))

/** Streams above `lastStream` have not been looked at. */
export const goAway = (lastStream: number, code: number): Buffer =>
  frame(type.goAway, 0, 0, Buffer.concat([uint32(lastStream), uint32(code)]))

export const windowUpdate = (stream: number, increment: number): Buffer =>
  frame(type.windowUpdate, 0, stream, uint32(increment))

export const ping = frame(type.ping, 0, 0, Buffer.alloc(8))

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** The whole frames in what was received. */
export const parse = (bytes: Buffer): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  for (let at = 0; at + 9 <= bytes.length;) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    if (end > bytes.length) break
    frames.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      stream: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, end)
    })
    at = end
  }
  return frames
}

/** The error code of a GOAWAY or RST_STREAM frame. */
export const codeOf = ({ payload, type: kind }: Frame): number => payload.readUInt32BE(kind === type.goAway ? 4 : 0)
