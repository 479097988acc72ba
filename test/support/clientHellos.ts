/** What TLS clients say first: built by hand, or taken from real ones. */
import { spawn } from "node:child_process"
import * as Net from "node:net"
import { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { Effect } from "effect"
import * as ClientHello from "../../src/gateway/ClientHello.ts"

export const u8 = (value: number): Buffer => Buffer.of(value & 0xff)
export const u16 = (value: number): Buffer => Buffer.of(value >> 8 & 0xff, value & 0xff)
const u24 = (value: number): Buffer => Buffer.of(value >> 16 & 0xff, value >> 8 & 0xff, value & 0xff)

export const extension = (type: number, data: Uint8Array): Buffer => Buffer.concat([u16(type), u16(data.length), data])

/** Each with the length of a list around it. */
export const names = (...all: ReadonlyArray<readonly [type: number, name: string | Buffer]>): Buffer => {
  const list = Buffer.concat(all.flatMap(([type, name]) => {
    const bytes = Buffer.from(name as string, "latin1")
    return [u8(type), u16(bytes.length), bytes]
  }))
  return Buffer.concat([u16(list.length), list])
}

export const serverName = (name: string): Buffer => extension(0, names([0, name]))

export const protocols = (...all: ReadonlyArray<string>): Buffer => {
  const list = Buffer.concat(all.flatMap((name) => [u8(name.length), Buffer.from(name)]))
  return extension(16, Buffer.concat([u16(list.length), list]))
}

/** Values that mean nothing, so that nobody comes to rely on what is known today (RFC 8701). */
export const grease: ReadonlyArray<Buffer> = [extension(0x0a0a, Buffer.alloc(0)), extension(0xfafa, Buffer.of(0))]

/** `encrypted_client_hello`, of the outer kind: what is in it is for the holder of a key. */
export const encrypted = extension(
  0xfe0d,
  Buffer.concat([u8(0), u16(1), u16(1), u8(7), u16(32), Buffer.alloc(32, 1), u16(144), Buffer.alloc(144, 2)])
)

export interface Parts {
  readonly version?: number
  readonly session?: number
  readonly ciphers?: Buffer
  readonly compressions?: Buffer
  /** Undefined: there is not even a list. */
  readonly extensions?: ReadonlyArray<Uint8Array> | undefined
  /** After them. */
  readonly rest?: Buffer
}

/** The body, without the head of the message. */
export const body = (parts: Parts): Buffer => {
  const { ciphers = Buffer.of(0x0a, 0x0a, 0x13, 0x01, 0xc0, 0x2b), compressions = u8(0), session = 32 } = parts
  const list = parts.extensions === undefined ? undefined : Buffer.concat(parts.extensions)
  return Buffer.concat([
    u16(parts.version ?? 0x0303),
    Buffer.alloc(32, 7),
    u8(session),
    Buffer.alloc(session, 9),
    u16(ciphers.length),
    ciphers,
    u8(compressions.length),
    compressions,
    ...(list === undefined ? [] : [u16(list.length), list]),
    parts.rest ?? Buffer.alloc(0)
  ])
}

/** A message of the handshake: 1 is a ClientHello. */
export const message = (content: Buffer, type = 1): Buffer => Buffer.concat([u8(type), u24(content.length), content])

/** Records of at most `size` bytes each. */
export const records = (content: Buffer, size = 16_384): Buffer => {
  const parts: Array<Buffer> = []
  for (let at = 0; at < content.length; at += size) {
    const part = content.subarray(at, at + size)
    parts.push(u8(22), u16(0x0301), u16(part.length), part)
  }
  return Buffer.concat(parts)
}

export const hello = (...extensions: ReadonlyArray<Uint8Array>): Buffer => records(message(body({ extensions })))

/** What the reader finds, given the bytes in these pieces. */
export const read = (pieces: ReadonlyArray<Uint8Array>): ClientHello.Finding => {
  const { read } = ClientHello.make()
  let finding: ClientHello.Finding = { _tag: "NeedMore" }
  for (const piece of pieces) finding = read(piece)
  return finding
}

/** Cut at these places, which are taken as they come. */
export const cut = (bytes: Buffer, places: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const sorted = [...new Set(places.map((place) => Math.abs(place) % (bytes.length + 1)))].toSorted((a, b) => a - b)
  return [0, ...sorted].map((from, i) => bytes.subarray(from, sorted[i]))
}

/** From Node's own TLS. */
export const fromNode = (options: Tls.ConnectionOptions): Buffer => {
  const written: Array<Buffer> = []
  const transport = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _, done) => {
      written.push(chunk)
      done()
    }
  })
  const socket = Tls.connect({ ...options, socket: transport })
  socket.on("error", () => {})
  return Buffer.concat(written)
}

const program = "openssl"

/** From `openssl s_client`, with these arguments. */
export const fromOpenssl = (...args: ReadonlyArray<string>): Effect.Effect<Buffer> =>
  Effect.callback((resume) => {
    const server = Net.createServer((socket) => {
      socket.on("error", () => {})
      const pieces: Array<Buffer> = []
      socket.on("data", (chunk) => {
        pieces.push(chunk)
        if (read(pieces)._tag === "NeedMore") return
        socket.destroy()
        resume(Effect.succeed(Buffer.concat(pieces)))
      })
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as Net.AddressInfo
      const client = spawn(program, ["s_client", "-connect", `127.0.0.1:${port}`, ...args], { stdio: "ignore" })
      client.on("close", () => server.close())
    })
  })
