/**
 * Reads what a TLS client says first, and what of it tells where it wants to go: the server name, and the protocols that it offers.
 * Bytes in, a finding out; nothing is decrypted and nothing is answered. TLS 1.0 to 1.3 (RFC 5246, RFC 8446, RFC 6066).
 *
 *     bytes ─▶ records ─▶ one handshake message ─▶ its extensions ─▶ NeedMore | NotTls | Refused | Hello
 *
 * Whoever is behind us reads the same bytes, and must find the same name in them. So everything is refused that readers may differ
 * about: extensions that come twice, lengths that do not add up, more than one name, what follows the message in its last record.
 * Of a hello that is encrypted (ECH) only the outer one is seen, whose name is the public one.
 */

export interface Hello {
  readonly _tag: "Hello"
  /** In lower case. Undefined: none was sent. */
  readonly serverName: string | undefined
  /** Best first. */
  readonly alpn: ReadonlyArray<string>
}

/** Stable: the attribute `reason` of `mesh_gateway_refusals_total`. */
export type Reason =
  | "too_large"
  | "bad_record"
  | "bad_handshake"
  | "bad_hello"
  | "bad_extension"
  | "duplicate_extension"
  | "bad_server_name"

export interface Refused {
  readonly _tag: "Refused"
  readonly reason: Reason
  /** For people. Holds nothing of what was sent. */
  readonly detail: string
}

export type Finding = { readonly _tag: "NeedMore" } | { readonly _tag: "NotTls" } | Refused | Hello

export interface Reader {
  /** What is known after these bytes as well. Once it is not `NeedMore`, it stays. */
  readonly read: (bytes: Uint8Array) => Finding
}

/** Of the message. Those of today have 300 to 2,000 bytes; OpenSSL sends none above a record. */
const mostMessage = 16_384

/** Of records in all: with one byte in each, a record is six times what it carries. */
const mostRecords = 512

export const make = (): Reader => {
  let message = Buffer.allocUnsafe(2048)
  const header = Buffer.alloc(5)
  let headerFilled = 0
  /** Bytes of the record that are yet to come. */
  let left = 0
  let filled = 0
  let records = 0
  let finding: Finding = needMore

  /** Of a record whose header is complete. */
  const begin = (): Finding => {
    left = header.readUInt16BE(3)
    records++
    if (left === 0) return refused("bad_record", "a record is empty")
    if (left > mostMessage) return refused("bad_record", "a record is longer than records may be")
    return records > mostRecords ? refused("too_large", `it came in more than ${mostRecords} records`) : needMore
  }

  /** Whether the byte at this place of a header can be right. */
  const headed = (byte: number, place: number): Finding => {
    if (place === 0 && byte !== handshake) return records === 0 ? notTls : refused("bad_record", "no handshake")
    if (place === 1 && byte !== 3) return records === 0 ? notTls : refused("bad_record", "no version of TLS")
    return needMore
  }

  const carried = (part: Uint8Array): Finding => {
    if (filled + part.length > message.length) {
      message = Buffer.concat([message.subarray(0, filled)], Math.min(mostMessage, (filled + part.length) * 2))
    }
    message.set(part.subarray(0, mostMessage - filled), filled)
    filled += part.length
    if (message[0] !== clientHello) return refused("bad_handshake", "the first message is no ClientHello")
    if (filled < 4) return needMore
    const end = 4 + message.readUIntBE(1, 3)
    if (end > mostMessage) return tooLarge
    if (filled > end || (filled === end && left > 0)) {
      return refused("bad_handshake", "something follows the ClientHello in its record")
    }
    return filled < end ? needMore : parse(message.subarray(4, end))
  }

  const step = (bytes: Uint8Array): Finding => {
    for (let at = 0; at < bytes.length;) {
      let next: Finding
      if (left === 0) {
        const byte = bytes[at++]!
        header[headerFilled] = byte
        next = headed(byte, headerFilled++)
        if (headerFilled === header.length && next === needMore) {
          headerFilled = 0
          next = begin()
        }
      } else {
        const part = bytes.subarray(at, at + left)
        at += part.length
        left -= part.length
        next = carried(part)
      }
      if (next !== needMore) return next
    }
    return needMore
  }

  return {
    read: (bytes) => {
      if (finding === needMore) finding = step(bytes)
      return finding
    }
  }
}

const handshake = 22
const clientHello = 1

const needMore: Finding = { _tag: "NeedMore" }
const notTls: Finding = { _tag: "NotTls" }
const refused = (reason: Reason, detail: string): Refused => ({ _tag: "Refused", reason, detail })
const tooLarge = refused("too_large", `it is longer than ${mostMessage} bytes`)

/** A place in bytes. Reading beyond the end makes it `undefined` for good. */
interface Cursor {
  readonly bytes: Buffer
  at: number
}

const cursor = (bytes: Buffer): Cursor => ({ bytes, at: 0 })

const isAtEnd = ({ at, bytes }: Cursor): boolean => at === bytes.length

const number = (self: Cursor, size: 1 | 2): number | undefined => {
  if (self.at + size > self.bytes.length) return undefined
  const value = self.bytes.readUIntBE(self.at, size)
  self.at += size
  return value
}

const take = (self: Cursor, length: number | undefined): Buffer | undefined => {
  if (length === undefined || self.at + length > self.bytes.length) return undefined
  self.at += length
  return self.bytes.subarray(self.at - length, self.at)
}

/** Bytes after their length. */
const vector = (self: Cursor, size: 1 | 2): Buffer | undefined => take(self, number(self, size))

const badHello = (what: string): Refused => refused("bad_hello", `${what} of the ClientHello is not as it has to be`)

/** The body of a ClientHello, which has to end where its parts do. */
const parse = (body: Buffer): Finding => {
  const self = cursor(body)
  const version = number(self, 2)
  if (version === undefined || version >> 8 !== 3) return badHello("the version")
  if (take(self, 32) === undefined) return badHello("the random")
  const session = vector(self, 1)
  if (session === undefined || session.length > 32) return badHello("the session")
  const ciphers = vector(self, 2)
  if (ciphers === undefined || ciphers.length === 0 || ciphers.length % 2 !== 0) return badHello("the list of ciphers")
  const compressions = vector(self, 1)
  if (compressions === undefined || !compressions.includes(0)) return badHello("the list of compressions")
  if (isAtEnd(self)) return { _tag: "Hello", serverName: undefined, alpn: [] }
  const extensions = vector(self, 2)
  if (extensions === undefined || !isAtEnd(self)) return badHello("the list of extensions")
  return parseExtensions(cursor(extensions))
}

const serverNameType = 0
const alpnType = 16

const parseExtensions = (self: Cursor): Finding => {
  const seen = new Set<number>()
  let serverName: string | undefined
  let alpn: ReadonlyArray<string> = []
  while (!isAtEnd(self)) {
    const type = number(self, 2)
    const data = vector(self, 2)
    if (type === undefined || data === undefined) return refused("bad_extension", "an extension is cut off")
    if (seen.has(type)) return refused("duplicate_extension", `extension ${type} comes twice`)
    seen.add(type)
    if (type === serverNameType) {
      const name = parseServerName(cursor(data))
      if (typeof name !== "string") return name
      serverName = name
    } else if (type === alpnType) {
      const protocols = parseProtocols(cursor(data))
      if (protocols === undefined) return refused("bad_extension", "the list of protocols is not as it has to be")
      alpn = protocols
    }
  }
  return { _tag: "Hello", serverName, alpn }
}

const hostName = 0

/** What names of the DNS are made of, and an underscore: no wildcard, no NUL, nothing that somebody has to decode first. */
const allowed = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/

/** Of the DNS, which OpenSSL takes two more of. */
const longestName = 253

const parseServerName = (self: Cursor): string | Refused => {
  const list = vector(self, 2)
  if (list === undefined || !isAtEnd(self)) return badServerName("the list of names is not as it has to be")
  const names = cursor(list)
  const type = number(names, 1)
  const name = vector(names, 2)
  if (type !== hostName || name === undefined) return badServerName("there is no name of a host in it")
  if (!isAtEnd(names)) return badServerName("there is more than one name")
  if (name.length > longestName) return badServerName(`a name has at most ${longestName} characters`)
  const text = name.toString("latin1")
  return allowed.test(text) ? text.toLowerCase() : badServerName("that is no name of a host")
}

const badServerName = (detail: string): Refused => refused("bad_server_name", detail)

const parseProtocols = (self: Cursor): ReadonlyArray<string> | undefined => {
  const list = vector(self, 2)
  if (list === undefined || list.length === 0 || !isAtEnd(self)) return undefined
  const names = cursor(list)
  const protocols: Array<string> = []
  while (!isAtEnd(names)) {
    const name = vector(names, 1)
    if (name === undefined || name.length === 0) return undefined
    protocols.push(name.toString("latin1"))
  }
  return protocols
}
