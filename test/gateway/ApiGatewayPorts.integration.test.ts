/** What comes to a port of an API gateway before anything is asked of the mesh. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, type Schema } from "effect"
import { X509Certificate } from "node:crypto"
import * as agent from "../support/consul.ts"
import * as Certificates from "../support/certificates.ts"
import * as Doubles from "../support/doubles.ts"
import * as Gateways from "../support/gateways.ts"
import * as scrape from "../support/scrape.ts"
import * as sockets from "../support/sockets.ts"
import * as TlsClients from "../support/tlsClients.ts"

const { eventually } = Gateways

/** The entries of a gateway that has `db` behind a port that speaks TCP, and behind another one that speaks TLS. */
const setUpEntries = Effect.gen(function*() {
  const { dc1 } = yield* Gateways.one
  yield* dc1.service("db")
  const [plain, secure, http] = [yield* agent.freePort, yield* agent.freePort, yield* agent.freePort]
  const authority = yield* Effect.promise(() => Certificates.root("public"))
  const issue = Effect.map(
    Effect.promise(() => Certificates.issue(authority, { uris: [], dns: ["db.example"] })),
    ({ certPem, keyPem }) => ({ Certificate: certPem, PrivateKey: keyPem })
  )
  yield* dc1.write({
    Kind: "api-gateway",
    Name: "api-gateway",
    Listeners: [
      { Name: "plain", Port: plain, Protocol: "tcp" },
      { Name: "http", Port: http, Protocol: "http" },
      {
        Name: "secure",
        Port: secure,
        Protocol: "tcp",
        TLS: { Certificates: [{ Kind: "inline-certificate", Name: "db" }] }
      }
    ]
  })
  const parents = [{ Kind: "api-gateway", Name: "api-gateway" }]
  yield* dc1.write({ Kind: "tcp-route", Name: "db", Parents: parents, Services: [{ Name: "db" }] })
  return {
    dc1,
    plain,
    secure,
    http,
    issue,
    write: (pair: { readonly Certificate: string; readonly PrivateKey: string }) =>
      dc1.write({ Kind: "inline-certificate", Name: "db", ...pair })
  }
})

/** With the gateway. */
const setUp = Effect.fnUntraced(function*(config: Schema.JsonObject) {
  const { dc1, http, issue, plain, secure, write } = yield* setUpEntries
  yield* write(yield* issue)
  const gateway = yield* dc1.api({ config })
  const counts = (port: number) => gateway.status().listeners.find(({ name }) => name.endsWith(` ${port}`))!.counts
  return { plain, secure, http, counts }
})

/** What is heard of somebody who says nothing, until it is turned away. */
const silent = (port: number) =>
  Effect.scoped(Effect.gen(function*() {
    const heard = sockets.record(yield* sockets.connect(port))
    yield* heard.ending
    return heard.text()
  }))

/** The answer to a word; `""`: it was turned away. */
const answer = (port: number) =>
  Effect.scoped(Effect.gen(function*() {
    const socket = yield* sockets.connect(port)
    const heard = sockets.record(socket)
    socket.end("hello")
    yield* heard.ending
    return heard.text()
  }))

const refused = (samples: scrape.Samples, reason: string): number =>
  Object.entries(samples).reduce(
    (sum, [name, value]) =>
      name.startsWith("mesh_refusals_total{") && name.includes(`direction="inbound"`) &&
        name.includes(`reason="${reason}"`) && name.includes(`service="api-gateway"`)
        ? sum + value
        : sum,
    0
  )

describe("a port of an API gateway", () => {
  it.live("turns away who is one too many, counted and logged as a sidecar does", () => {
    const { lines, running } = Doubles.runner()
    return running(scrape.fresh(Effect.scoped(Effect.gen(function*() {
      const { counts, plain } = yield* setUp({ max_inbound_connections: 1 })
      yield* eventually(Effect.map(answer(plain), (text) => assert.strictEqual(text, "HELLO")))
      yield* eventually(Effect.sync(() => assert.strictEqual(counts(plain).open, 0)))
      const first = yield* sockets.connect(plain)
      yield* eventually(Effect.sync(() => assert.strictEqual(counts(plain).open, 1)))
      const before = counts(plain).refused["too_many_connections"] ?? 0
      assert.strictEqual(yield* silent(plain), "")
      assert.strictEqual(counts(plain).refused["too_many_connections"], before + 1)
      assert.strictEqual(refused(yield* scrape.samples, "too_many_connections"), before + 1)
      const line = lines.find((line) => line.includes("reason=too_many_connections"))
      assert.match(
        line ?? lines.join("\n"),
        /level=WARN.*refused 127\.0\.0\.1:\d+: the limit of 1 connections is reached/
      )
      assert.match(line ?? "", /direction=inbound.*remote=127\.0\.0\.1:\d+/)
      assert.match(line ?? "", /service=api-gateway/)
      first.destroy()
      yield* eventually(Effect.sync(() => assert.strictEqual(counts(plain).open, 0)))
      assert.strictEqual(yield* answer(plain), "HELLO")
    }))))
  })

  it.live("turns away who comes too fast, whether it speaks TLS or not", () =>
    scrape.fresh(Effect.gen(function*() {
      const { counts, plain, secure } = yield* setUp({ max_inbound_connections_per_second: 1 })
      for (const port of [plain, secure]) {
        // The first of two within a second is taken.
        yield* eventually(
          Effect.gen(function*() {
            const socket = yield* sockets.connect(port)
            const heard = sockets.record(socket)
            if (port === plain) socket.end("hello")
            else socket.end()
            yield* heard.ending
            assert.strictEqual(heard.text(), "")
            assert.isAbove(counts(port).refused["connection_rate"] ?? 0, 0)
          }).pipe(Effect.scoped)
        )
      }
      assert.strictEqual(
        refused(yield* scrape.samples, "connection_rate"),
        counts(plain).refused["connection_rate"]! + counts(secure).refused["connection_rate"]!
      )
    })))

  it.live("turns away handshakes beyond the limit, and says what is wrong with those that fail", () => {
    const { lines, running } = Doubles.runner()
    return running(scrape.fresh(Effect.scoped(Effect.gen(function*() {
      const { counts, plain, secure } = yield* setUp({ max_inbound_handshakes: 1, handshake_timeout_ms: 60_000 })
      const slow = yield* sockets.connect(secure)
      yield* eventually(Effect.sync(() => assert.strictEqual(counts(secure).handshaking, 1)))
      assert.strictEqual(yield* silent(secure), "")
      assert.deepStrictEqual(counts(secure).refused, { too_many_handshakes: 1 })
      // There are none without TLS.
      yield* eventually(Effect.map(answer(plain), (text) => assert.strictEqual(text, "HELLO")))
      assert.deepStrictEqual(counts(plain).refused, {})
      slow.destroy()
      yield* eventually(Effect.sync(() => assert.strictEqual(counts(secure).handshaking, 0)))
      assert.deepStrictEqual(counts(secure).refused, { too_many_handshakes: 1, disconnected: 1 })

      assert.strictEqual(yield* answer(secure), "")
      assert.strictEqual(counts(secure).refused["not_tls"], 1)
      assert.include(lines.join("\n"), "it does not speak TLS, and this port takes nothing else")
      const open = yield* TlsClients.connect(secure, undefined)
      open.socket.end("hello") // and the answer comes all the same
      const said = yield* Effect.callback<string>((resume) =>
        void open.socket.once("data", (chunk: Buffer) => resume(Effect.succeed(chunk.toString())))
      )
      assert.strictEqual(said, "HELLO")
      const handshakes = Object.entries(yield* scrape.samples).filter(([name]) =>
        name.startsWith("mesh_handshakes_total{") && name.includes(`direction="inbound"`) &&
        name.includes(`service="api-gateway"`)
      )
      assert.deepStrictEqual(
        handshakes.map(([name, value]) => [/outcome="(\w+)"/.exec(name)?.[1], value]).toSorted(),
        [["accepted", 1], ["refused", 3]]
      )
    }))))
  })

  it.live("says what was wrong with a client that has reset its connection since", () =>
    Effect.gen(function*() {
      const { counts, secure } = yield* setUp({ handshake_timeout_ms: 60_000 })
      const client = yield* sockets.connect(secure)
      yield* eventually(Effect.sync(() => assert.strictEqual(counts(secure).handshaking, 1)))
      client.write("GET / HTTP/1.1\r\n\r\n")
      client.resetAndDestroy()
      yield* eventually(Effect.sync(() => assert.strictEqual(counts(secure).handshaking, 0)))
      assert.deepStrictEqual(counts(secure).refused, { not_tls: 1 })
    }))

  it.live("gives a handshake its time, and no more", () =>
    Effect.gen(function*() {
      const { counts, secure } = yield* setUp({ handshake_timeout_ms: 50 })
      assert.strictEqual(yield* silent(secure), "")
      assert.deepStrictEqual(counts(secure).refused, { handshake_timeout: 1 })
    }))

  it.live("stays closed while a certificate can not be used, and the others are open; it opens once that is written again", () => {
    const { lines, running } = Doubles.runner()
    return running(Effect.scoped(Effect.gen(function*() {
      const { dc1, issue, plain, secure, write } = yield* setUpEntries
      const [good, other] = [yield* issue, yield* issue]
      // Consul looks at the first one only.
      const broken = (pair: typeof good) => ({
        ...pair,
        Certificate: `${pair.Certificate}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`
      })
      yield* write(broken(good))
      const gateway = yield* dc1.api({ rebind: Schedule.spaced("20 millis") })
      yield* eventually(Effect.map(answer(plain), (text) => assert.strictEqual(text, "HELLO")))
      const message =
        /the listener secure can not use the inline-certificate db: OpenSSL refuses it \(.+\)\. Write that entry/
      const state = () => gateway.status().listeners.find(({ name }) => name === `tcp ${secure}`)!.state
      yield* eventually(Effect.sync(() => {
        const failed = state()
        assert.match(failed._tag === "Failed" ? failed.message : failed._tag, message)
      }))
      yield* Effect.flip(sockets.connect(secure))
      const said = lines.filter((line) => message.test(line))
      assert.strictEqual(said.length, 1, lines.join("\n"))
      assert.match(said[0]!, /level=ERROR/)

      yield* write(good)
      const hello = Effect.scoped(Effect.gen(function*() {
        const { socket } = yield* TlsClients.connect(secure, undefined)
        const heard = sockets.record(socket)
        socket.end("hello")
        yield* heard.until("HELLO")
        return socket.getPeerX509Certificate()?.fingerprint256
      }))
      const shown = yield* eventually(hello)
      assert.strictEqual(shown, new X509Certificate(good.Certificate).fingerprint256)

      // Of one that is open already the last ones stay.
      lines.length = 0
      yield* write(broken(other))
      yield* eventually(Effect.sync(() => assert.match(lines.join("\n"), message)))
      assert.include(lines.join("\n"), "The certificates of before stay in force")
      assert.strictEqual(yield* hello, shown)
      yield* write(other)
      yield* eventually(
        Effect.map(hello, (shown) => assert.strictEqual(shown, new X509Certificate(other.Certificate).fingerprint256))
      )
    })))
  })

  it.live("ends what has been idle for too long: bytes by a reset, requests in order", () =>
    Effect.gen(function*() {
      const { counts, http, plain, secure } = yield* setUp({ connection_idle_timeout_ms: 200 })
      // A slow machine may take longer to answer than that.
      yield* eventually(Effect.scoped(Effect.gen(function*() {
        const open = yield* sockets.connect(plain)
        const heard = sockets.record(open)
        open.write("hello")
        assert.strictEqual(yield* heard.ending, "ECONNRESET")
        assert.strictEqual(heard.text(), "HELLO")
      })))
      assert.isAtLeast(counts(plain).retired.idle, 1)

      yield* eventually(Effect.scoped(Effect.gen(function*() {
        const kept = yield* sockets.connect(http)
        const answered = sockets.record(kept)
        kept.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert.strictEqual(yield* answered.ending, "ended")
        assert.match(answered.text(), /^HTTP\/1\.1 404 /)
      })))
      yield* eventually(Effect.sync(() => assert.strictEqual(counts(http).open, 0)))

      const client = yield* eventually(TlsClients.connect(secure, undefined))
      assert.notStrictEqual(yield* sockets.record(client.socket).ending, "open")
      assert.isAtLeast(counts(secure).retired.idle, 1)
    }))
})
