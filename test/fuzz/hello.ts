/**
 * Our reader of ClientHellos beside OpenSSL's, which our services have. A name that we find must be the one that OpenSSL finds, or it
 * must refuse: otherwise what is let through for one service would come to another. Pieces must not matter.
 */
import { Duplex } from "node:stream"
import * as Tls from "node:tls"
import * as Certificates from "../support/certificates.ts"
import * as Hellos from "../support/clientHellos.ts"
import * as Generate from "./generate.ts"

export interface Outcome {
  readonly runs: number
  /** Both found the same name. */
  readonly agreed: number
  /** OpenSSL goes on with what we refuse. */
  readonly refused: number
  readonly differences: ReadonlyArray<string>
}

const { extension, names, protocols, serverName, u16, u8 } = Hellos

/** Real ones, and parts that readers could differ about. */
const seeds = ["api.default.dc1", "web", "a.b.c.d.e.f"].flatMap((servername) => [
  Hellos.fromNode({ servername, ALPNProtocols: ["h2", "http/1.1"] }),
  Hellos.fromNode({ servername, maxVersion: "TLSv1.2" }),
  Hellos.fromNode({ servername, minVersion: "TLSv1.3", ecdhCurve: "X25519" })
])

const parts: ReadonlyArray<Buffer> = [
  serverName("other.default.dc1"),
  serverName("*.default.dc1"),
  extension(0, names([0, "web"], [0, "api"])),
  extension(0, names([1, "web"])),
  extension(0, Buffer.concat([names([0, "web"]), u8(0)])),
  extension(0, Buffer.alloc(0)),
  protocols("h2"),
  Hellos.encrypted,
  ...Hellos.grease,
  extension(41, Buffer.alloc(4)),
  extension(43, Buffer.of(2, 3, 4)),
  Buffer.of(0, 0, 0, 0)
]

/** Its extensions begin after session, ciphers and compressions. */
const extensionsAt = (content: Buffer): number => {
  const session = 4 + 2 + 32
  const ciphers = session + 1 + content[session]!
  const compressions = ciphers + 2 + content.readUInt16BE(ciphers)
  return compressions + 1 + content[compressions]!
}

/** One part more among its extensions, with the lengths right again. */
const withPart = (content: Buffer, part: Buffer, next: Generate.Random): Buffer => {
  const at = extensionsAt(content)
  const list = content.subarray(at + 2)
  const edges = [0]
  for (let i = 0; i + 4 <= list.length; i += 4 + list.readUInt16BE(i + 2)) edges.push(i + 4 + list.readUInt16BE(i + 2))
  const edge = Generate.pick(next, edges)
  const extensions = Buffer.concat([list.subarray(0, edge), part, list.subarray(edge)])
  return Hellos.message(Buffer.concat([content.subarray(4, at), u16(extensions.length), extensions]))
}

const withByte = (bytes: Buffer, next: Generate.Random): Buffer => {
  const changed = Buffer.from(bytes)
  // Most of what matters stands at either end.
  const near = Math.floor(next() * Math.min(120, bytes.length))
  const at = next() < 0.5 ? near : bytes.length - 1 - near
  changed[at] = next() < 0.5 ? Math.floor(next() * 256) : changed[at]! ^ 1 << Math.floor(next() * 8)
  return changed
}

export const generate = (next: Generate.Random): Buffer => {
  let content = Generate.pick(next, seeds).subarray(5)
  if (next() < 0.6) content = withPart(content, Generate.pick(next, parts), next)
  if (next() < 0.4) content = withByte(content, next)
  const bytes = Hellos.records(content, next() < 0.5 ? 16_384 : 1 + Math.floor(next() * 300))
  return next() < 0.2 ? withByte(bytes, next) : bytes
}

/** What OpenSSL finds: a name, none, or that it does not go on. */
const openssl = (bytes: Buffer, context: Tls.SecureContext) =>
  new Promise<{ readonly name: string | undefined } | "refused">((resolve) => {
    let name: string | undefined
    let answered = false
    const transport = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _, done) => {
        answered ||= chunk[0] === 22
        done()
      }
    })
    const socket = new Tls.TLSSocket(transport, {
      isServer: true,
      secureContext: context,
      SNICallback: (servername, done) => {
        name = servername
        done(null, context)
      }
    })
    socket.on("error", () => {})
    transport.push(bytes)
    setImmediate(() =>
      setImmediate(() => {
        socket.destroy()
        transport.destroy()
        resolve(name !== undefined || answered ? { name } : "refused")
      })
    )
  })

/** Until `isOver`, or the first hundred differences. */
export const run = async (seed: number, isOver: (runs: number) => boolean): Promise<Outcome> => {
  const next = Generate.random(seed)
  const { certPem: cert, keyPem: key } = await Certificates.issue(await Certificates.root("fuzz"))
  const context = Tls.createSecureContext({ cert, key })
  const differences: Array<string> = []
  let [runs, agreed, refused] = [0, 0, 0]
  for (; !isOver(runs) && differences.length < 100; runs++) {
    const bytes = generate(next)
    const ours = Hellos.read([bytes])
    const pieces = Hellos.cut(bytes, Array.from({ length: 4 }, () => Math.floor(next() * bytes.length)))
    if (JSON.stringify(Hellos.read(pieces)) !== JSON.stringify(ours)) {
      differences.push(`${bytes.toString("hex")} reads differently in pieces`)
    }
    const theirs = await openssl(bytes, context)
    if (ours._tag !== "Hello") {
      if (theirs !== "refused") refused++
    } else if (theirs !== "refused") {
      if (theirs.name?.toLowerCase() === ours.serverName) agreed++
      else differences.push(`${bytes.toString("hex")}\n  ours: ${ours.serverName}\n  OpenSSL's: ${theirs.name}`)
    }
  }
  return { runs, agreed, refused, differences }
}
