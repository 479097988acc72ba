import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type * as ClientHello from "../../src/gateway/ClientHello.ts"
import * as Hellos from "../support/clientHellos.ts"
import * as TlsClients from "../support/tlsClients.ts"
import * as Fuzz from "../fuzz/hello.ts"

const {
  body,
  cut,
  encrypted,
  extension,
  grease,
  hello,
  message,
  names,
  protocols,
  read,
  records,
  serverName,
  u16,
  u8
} = Hellos

const readWhole = (bytes: Buffer) => read([bytes])

const reasonOf = (bytes: Buffer): string => {
  const finding = readWhole(bytes)
  return finding._tag === "Refused" ? finding.reason : finding._tag
}

const api = "api.default.dc1.internal.11111111-2222-3333-4444-555555555555.consul"

const named = (serverName: string | undefined, ...alpn: ReadonlyArray<string>): ClientHello.Hello => ({
  _tag: "Hello",
  serverName,
  alpn
})

describe("ClientHello", () => {
  it("finds the name and the protocols", () => {
    assert.deepStrictEqual(readWhole(hello(serverName(api), protocols("h2", "http/1.1"))), named(api, "h2", "http/1.1"))
  })

  it("takes names without regard to case, and clients that send none", () => {
    assert.deepStrictEqual(readWhole(hello(serverName("API.Default.DC1"))), named("api.default.dc1"))
    assert.deepStrictEqual(readWhole(hello()), named(undefined))
    assert.deepStrictEqual(readWhole(records(message(body({})))), named(undefined))
  })

  it("passes over what means nothing, and over what is encrypted", () => {
    assert.deepStrictEqual(
      readWhole(hello(grease[0]!, encrypted, serverName("public.example"), extension(0xabcd, u8(1)), grease[1]!)),
      named("public.example")
    )
  })

  it("reads a message that comes in many records", () => {
    const content = message(body({ extensions: [serverName(api)] }))
    for (const size of [1, 2, 3, 4, 5, 50]) assert.deepStrictEqual(readWhole(records(content, size)), named(api))
  })

  it("asks for more until the message is complete", () => {
    const bytes = hello(serverName(api), protocols("h2"))
    for (let end = 0; end < bytes.length; end++) {
      assert.deepStrictEqual(readWhole(bytes.subarray(0, end)), { _tag: "NeedMore" })
    }
  })

  it("does not look at what comes after the message in records of its own", () => {
    const early = Buffer.concat([u8(23), u16(0x0303), u16(4), Buffer.alloc(4)])
    assert.deepStrictEqual(readWhole(Buffer.concat([hello(serverName(api)), early])), named(api))
  })

  it("keeps to what it has found", () => {
    assert.deepStrictEqual(read([Buffer.from("GET"), hello(serverName(api))]), { _tag: "NotTls" })
  })

  it.each([
    ["a request of HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["a hello of SSL 2", Buffer.of(0x80, 0x2e, 0x01, 0x03, 0x01)],
    ["an alert", Buffer.of(21, 3, 3, 0, 2)],
    ["another major version", Buffer.of(22, 2)]
  ])("says that %s is no TLS, as soon as that shows", (_, bytes) => {
    assert.deepStrictEqual(readWhole(bytes), { _tag: "NotTls" })
  })

  const long = (length: number) => `${"a".repeat(50)}.`.repeat(6).slice(0, length - 1) + "b"
  const whole = message(body({ extensions: [serverName(api)] }))

  it("takes the longest name that there may be", () => {
    assert.deepStrictEqual(readWhole(hello(serverName(long(253)))), named(long(253)))
  })

  it.each<readonly [string, Buffer, string]>([
    ["an empty record", Buffer.concat([records(whole.subarray(0, 9)), Buffer.of(22, 3, 1, 0, 0)]), "bad_record"],
    ["a record that is too long", Buffer.of(22, 3, 1, 0x40, 1), "bad_record"],
    ["an alert within", Buffer.concat([records(whole.subarray(0, 9)), Buffer.of(21)]), "bad_record"],
    ["another version within", Buffer.concat([records(whole.subarray(0, 9)), Buffer.of(22, 2)]), "bad_record"],
    ["too many records", records(message(body({ extensions: [extension(21, Buffer.alloc(600))] })), 1), "too_large"],
    ["a message that is too long", records(Buffer.of(1, 0, 0x40, 0)), "too_large"],
    ["another message", records(message(Buffer.alloc(4), 2)), "bad_handshake"],
    ["a byte behind the message", records(Buffer.concat([whole, u8(0)])), "bad_handshake"],
    ["a second message behind it", records(Buffer.concat([whole, whole])), "bad_handshake"],
    ["an empty body", records(message(Buffer.alloc(0))), "bad_hello"],
    ["an unknown version", records(message(body({ version: 0x0200, extensions: [] }))), "bad_hello"],
    ["a long session", records(message(body({ session: 33, extensions: [] }))), "bad_hello"],
    ["no ciphers", records(message(body({ ciphers: Buffer.alloc(0), extensions: [] }))), "bad_hello"],
    ["half a cipher", records(message(body({ ciphers: Buffer.alloc(3), extensions: [] }))), "bad_hello"],
    ["no compressions", records(message(body({ compressions: Buffer.alloc(0), extensions: [] }))), "bad_hello"],
    ["only real compressions", records(message(body({ compressions: u8(1), extensions: [] }))), "bad_hello"],
    ["a byte behind the extensions", records(message(body({ extensions: [], rest: u8(0) }))), "bad_hello"],
    ["half a list of extensions", records(message(body({ rest: Buffer.of(0, 4, 0) }))), "bad_hello"],
    ["half an extension", hello(Buffer.of(0, 23, 0)), "bad_extension"],
    ["an extension beyond the list", hello(Buffer.of(0, 23, 0, 1)), "bad_extension"],
    ["an extension twice", hello(extension(23, u8(1)), extension(23, u8(1))), "duplicate_extension"],
    ["two lists of names", hello(serverName("a.b"), serverName("c.d")), "duplicate_extension"],
    ["an empty list of protocols", hello(extension(16, u16(0))), "bad_extension"],
    ["an empty protocol", hello(extension(16, Buffer.of(0, 1, 0))), "bad_extension"],
    ["a protocol beyond its list", hello(extension(16, Buffer.of(0, 2, 2, 0x68))), "bad_extension"],
    ["a byte behind the protocols", hello(extension(16, Buffer.of(0, 2, 1, 0x68, 0))), "bad_extension"],
    ["no name", hello(extension(0, Buffer.alloc(0))), "bad_server_name"],
    ["an empty list of names", hello(extension(0, names())), "bad_server_name"],
    ["an empty name", hello(serverName("")), "bad_server_name"],
    ["two names", hello(extension(0, names([0, "a.b"], [0, "c.d"]))), "bad_server_name"],
    ["a name of another kind", hello(extension(0, names([1, "a.b"]))), "bad_server_name"],
    ["a byte behind the names", hello(extension(0, Buffer.concat([names([0, "a.b"]), u8(0)]))), "bad_server_name"],
    ["a wildcard", hello(serverName("*.default.dc1.internal.x.consul")), "bad_server_name"],
    ["a NUL", hello(serverName("api.a\0.b")), "bad_server_name"],
    ["an end of line", hello(serverName("api\n")), "bad_server_name"],
    ["a letter beyond ASCII", hello(serverName("\xe4pi.a")), "bad_server_name"],
    ["a dot at the end", hello(serverName("api.a.")), "bad_server_name"],
    ["a label without letters", hello(serverName("api..a")), "bad_server_name"],
    ["an address of IPv6", hello(serverName("::1")), "bad_server_name"],
    ["a name that is too long", hello(serverName(long(254))), "bad_server_name"]
  ])("refuses %s", (_, bytes, reason) => assert.strictEqual(reasonOf(bytes), reason))

  const Extension = Schema.Literals([0, 1, 2, 3, 4, 5, 6])
  const extensions = [
    serverName(api),
    protocols("h2"),
    encrypted,
    extension(0x2a2a, Buffer.alloc(3000)),
    extension(0, names([0, "*"])),
    Buffer.of(0, 1, 9),
    extension(21, Buffer.alloc(15_000))
  ]

  it.prop(
    "finds the same however the bytes come in pieces, and the message in records",
    { chosen: Schema.Array(Extension), cuts: Schema.Array(Schema.Int), size: Schema.Int },
    ({ chosen, cuts, size }) => {
      const content = message(body({ extensions: chosen.map((i) => extensions[i]!).slice(0, 8) }))
      const bytes = records(content, 40 + Math.abs(size) % 16_000)
      const finding = readWhole(bytes)
      assert.deepStrictEqual(read(cut(bytes, cuts)), finding)
      assert.deepStrictEqual(read(Array.from(bytes, (byte) => Buffer.of(byte))), finding)
    }
  )

  describe("of real clients", () => {
    it.each(
      [
        ["TLS 1.2", { maxVersion: "TLSv1.2" }],
        ["TLS 1.3", { minVersion: "TLSv1.3" }],
        ["both", {}]
      ] as const
    )("reads Node's, with %s", (_, versions) => {
      const bytes = Hellos.fromNode({ ...versions, servername: api, ALPNProtocols: ["h2", "acme"] })
      assert.deepStrictEqual(readWhole(bytes), named(api, "h2", "acme"))
      assert.deepStrictEqual(readWhole(Hellos.fromNode(versions)), named(undefined))
    })

    describe.skipIf(!TlsClients.has("openssl"))("from the shell", () =>
      it.live.each(
        [
          [["-servername", api, "-alpn", "h2,http/1.1"], named(api, "h2", "http/1.1")],
          [["-servername", "a.b", "-tls1_2"], named("a.b")],
          [["-servername", "a.b", "-tls1_3", "-groups", "X25519:P-256:P-384:P-521"], named("a.b")],
          [["-noservername"], named(undefined)]
        ] as const
      )("reads OpenSSL's, with %s", ([args, found]) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(readWhole(yield* Hellos.fromOpenssl(...args)), found)
        })))
  })

  it.live.each([1, 2])(
    "never finds another name than OpenSSL, in hellos that are nearly right (seed %i)",
    (seed) =>
      Effect.gen(function*() {
        const { agreed, differences } = yield* Effect.promise(() => Fuzz.run(seed, (runs) => runs >= 300))
        assert.deepStrictEqual(differences, [])
        assert.isAbove(agreed, 20)
      })
  )
})
