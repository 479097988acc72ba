import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Metric, Schedule, Schema, Scope, SubscriptionRef } from "effect"
import { TestConsole } from "effect/testing"
import * as MeshListener from "../../src/inbound/MeshListener.ts"
import type * as Refusal from "../../src/tls/Refusal.ts"
import * as Intentions from "../../src/watch/Intentions.ts"
import * as Watched from "../../src/watch/Watched.ts"
import * as Certificates from "../support/certificates.ts"
import * as Listeners from "../support/listeners.ts"
import { policy } from "../support/mesh.ts"
import * as Sockets from "../support/sockets.ts"
import * as TlsClients from "../support/tlsClients.ts"

type Running = Effect.Success<ReturnType<typeof Listeners.listen>>

/** A caller that is allowed is served. */
const served = Effect.fnUntraced(function*({ issue, listener }: Running) {
  const client = yield* TlsClients.connect(listener.port, yield* issue("web"))
  const answer = Sockets.record(client.socket)
  client.socket.end("still here")
  assert.strictEqual(yield* answer.ending, "ended")
  assert.strictEqual(answer.text(), "STILL HERE")
})

const minute = 60_000

class NoApplication extends Schema.TaggedError<NoApplication>()("NoApplication", {}) {
  override readonly message = "no application"
}

describe("MeshListener", () => {
  it.live("hands over callers with their identity and why they were let in", () =>
    Effect.gen(function*() {
      const seen = yield* Deferred.make<MeshListener.Connection>()
      const running = yield* Listeners.listen({
        handle: (connection) => Effect.andThen(Deferred.succeed(seen, connection), Listeners.shout(connection))
      })
      const client = yield* TlsClients.connect(running.listener.port, yield* running.issue("web"))
      const { caller, decision, remote } = yield* Deferred.await(seen)
      assert.deepStrictEqual(caller, Certificates.service("web"))
      assert.strictEqual(decision.by?.source, "web")
      assert.strictEqual(remote, `127.0.0.1:${client.socket.localPort}`)
    }))

  it.live("delivers all that its handler wrote, also to a caller who is still sending", () =>
    Effect.gen(function*() {
      const running = yield* Listeners.listen({
        handle: ({ socket }) => Effect.sync(() => void socket.write(Buffer.alloc(1024 * 1024, 120)))
      })
      for (let i = 0; i < 5; i++) {
        const client = yield* TlsClients.connect(running.listener.port, yield* running.issue("web"))
        const answer = Sockets.record(client.socket)
        client.socket.write(Buffer.alloc(1024 * 1024, 121))
        assert.strictEqual(yield* answer.ending, "ended")
        assert.strictEqual(answer.text().length, 1024 * 1024)
        client.socket.destroy()
      }
    }))

  /** Does something to the listener, which refuses it for this reason, runs no handler and serves the next caller. */
  const refuses = (
    title: string,
    reason: Refusal.Reason,
    attempt: (running: Running) => Effect.Effect<unknown, unknown, Scope.Scope>,
    options?: Partial<MeshListener.Options<never>>
  ) =>
    it.live(`refuses ${title}`, () =>
      Effect.gen(function*() {
        const running = yield* Listeners.listen(options)
        yield* Effect.ignore(attempt(running))
        yield* Sockets.eventually(() => running.listener.stats().refused[reason] === 1)
        assert.deepStrictEqual(running.handled, [])
        yield* served(running)
        assert.deepStrictEqual(running.listener.stats().refused, { [reason]: 1 })
        const counted = (yield* Metric.snapshot).filter(({ id }) => id === "mesh_refusals_total")
        assert.deepStrictEqual(counted.map(({ attributes }) => attributes), [{ reason, direction: "inbound" }])
        assert.include(JSON.stringify(yield* TestConsole.logLines), reason === "disconnected" ? "" : reason)
      }).pipe(
        Effect.provide(TestConsole.layer),
        Effect.provideServiceEffect(Metric.MetricRegistry, Effect.sync(() => new Map()))
      ))

  const withCertificate = (faults: Certificates.LeafOptions) => (running: Running) =>
    Effect.flatMap(running.issue("web", faults), (issued) => TlsClients.connect(running.listener.port, issued))

  const says = (text: string | Buffer) => ({ listener }: Running) =>
    Effect.map(Sockets.connect(listener.port), (socket) => socket.write(text))

  refuses("a plain-text client", "not_tls", says("GET / HTTP/1.1\r\nhost: api\r\n\r\n"))
  refuses("another plain-text protocol", "not_tls", says("*1\r\n$4\r\nPING\r\n"))
  refuses("garbage", "not_tls", says(Buffer.alloc(64, 0xff)))
  refuses("a handshake that stalls before it begins", "handshake_timeout", says(""), { handshakeTimeout: "50 millis" })
  refuses(
    "a handshake that stalls in the middle",
    "handshake_timeout",
    says(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00])),
    { handshakeTimeout: "50 millis" }
  )
  refuses(
    "a handshake that goes on and on",
    "handshake_timeout",
    ({ listener }) =>
      Effect.flatMap(Sockets.connect(listener.port), (socket) => {
        // A record of 16 KiB with the length of a ClientHello, a byte at a time.
        socket.write(Buffer.from([0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc]))
        const timer = setInterval(() => socket.write(Buffer.from([0])), 1)
        return Effect.ensuring(Sockets.record(socket).ending, Effect.sync(() => clearInterval(timer)))
      }),
    { handshakeTimeout: "100 millis" }
  )
  refuses(
    "a peer that leaves during the handshake",
    "disconnected",
    ({ listener }) => Effect.map(Sockets.connect(listener.port), (socket) => socket.end(Buffer.from([0x16, 0x03])))
  )
  refuses(
    "a client without a certificate",
    "no_certificate",
    ({ listener }) => TlsClients.connect(listener.port, undefined)
  )
  refuses(
    "the same by TLS 1.2",
    "no_certificate",
    ({ listener }) => TlsClients.connect(listener.port, undefined, { maxVersion: "TLSv1.2" })
  )
  refuses("an expired certificate", "certificate_expired", withCertificate({ notBefore: -minute, notAfter: -1000 }))
  refuses("a certificate of tomorrow", "certificate_not_yet_valid", withCertificate({ notBefore: minute }))
  refuses("a certificate without a URI", "no_identity", withCertificate({ uris: [], dns: ["web"] }))
  refuses("a URI that is no identity", "invalid_identity", withCertificate({ uris: ["spiffe://x.consul/web"] }))
  refuses(
    "an agent",
    "not_a_service",
    withCertificate({ uris: [`spiffe://${Certificates.trustDomain}/agent/client/dc/dc1/id/n`] })
  )
  refuses("a certificate for servers", "wrong_purpose", withCertificate({ usages: ["server"] }))
  refuses("a certificate of another authority", "unknown_authority", ({ listener }) =>
    Effect.flatMap(
      Effect.promise(async () => Certificates.issue(await Certificates.root("ca"))),
      (issued) => TlsClients.connect(listener.port, issued)
    ))
  refuses(
    "a caller without an intention",
    "denied",
    ({ issue, listener }) => Effect.flatMap(issue("batch"), (issued) => TlsClients.connect(listener.port, issued))
  )

  it.live("resets what it refuses, so that nobody takes it for an empty answer", () =>
    Effect.gen(function*() {
      const { issue, listener } = yield* Listeners.listen()
      const client = yield* TlsClients.connect(listener.port, yield* issue("batch"))
      assert.strictEqual(yield* Sockets.record(client.socket).ending, "ECONNRESET")
    }))

  it.live("refuses connections beyond the limit, those still shaking hands included", () =>
    Effect.gen(function*() {
      const running = yield* Listeners.listen({ maxConnections: 2 })
      const silent = yield* Sockets.connect(running.listener.port)
      const client = yield* TlsClients.connect(running.listener.port, yield* running.issue("web"))
      const third = yield* Effect.exit(
        Effect.scoped(TlsClients.connect(running.listener.port, yield* running.issue("web")))
      )
      assert.isTrue(Exit.isFailure(third))
      assert.strictEqual(running.listener.stats().refused.too_many_connections, 1)
      silent.destroy()
      client.socket.destroy()
      yield* Sockets.eventually(() => running.listener.stats().open + running.listener.stats().handshaking === 0)
      yield* served(running)
    }))

  it.live("refuses handshakes beyond the limit, whatever is open besides", () =>
    Effect.gen(function*() {
      const running = yield* Listeners.listen({ arriving: { maxHandshakes: 1 } })
      const { listener } = running
      yield* TlsClients.connect(listener.port, yield* running.issue("web"))
      yield* Sockets.eventually(() => listener.stats().open === 1)
      const silent = yield* Sockets.connect(listener.port)
      yield* Sockets.eventually(() => listener.stats().handshaking === 1)
      const second = yield* Sockets.connect(listener.port)
      yield* Sockets.record(second).ending
      assert.strictEqual(listener.stats().refused.too_many_handshakes, 1)
      silent.destroy()
      yield* Sockets.eventually(() => listener.stats().handshaking === 0)
      yield* served(running)
    }))

  it.live("refuses connections that come too fast, until the limit is raised", () =>
    Effect.gen(function*() {
      // One in a thousand seconds, whatever a slow machine takes.
      const running = yield* Listeners.listen({ arriving: { connectionRate: 0.001 } })
      const { listener } = running
      const first = yield* Sockets.connect(listener.port)
      yield* Sockets.record(first).ending
      assert.strictEqual(listener.stats().refused.connection_rate, 1)
      listener.setLimits({ connectionRate: 0 }, {})
      yield* served(running)
    }))

  it.live("says at once that an address is taken, and which", () =>
    Effect.gen(function*() {
      const { listener, contexts } = yield* Listeners.listen()
      const failed = yield* MeshListener.make({ host: "127.0.0.1", port: listener.port, handle: Listeners.shout }).pipe(
        Effect.provideContext(contexts),
        Effect.flip
      )
      assert.strictEqual(
        failed.message,
        `cannot listen on 127.0.0.1:${listener.port}: the address is in use by another process. Stop that, or choose another port`
      )
    }))

  it.live("cuts the open connections that a change of intentions denies, and no others", () =>
    Effect.gen(function*() {
      const { api, issue, listener } = yield* Listeners.listen()
      yield* SubscriptionRef.set(api.intentions, policy("api", { web: "allow", batch: "allow" }))
      const open = Effect.fnUntraced(function*(name: string) {
        const { socket } = yield* TlsClients.connect(listener.port, yield* issue(name))
        const record = Sockets.record(socket)
        socket.write("hello")
        yield* record.until("HELLO")
        return { socket, record }
      })
      const [web, batch] = [yield* open("web"), yield* open("batch")]
      yield* SubscriptionRef.set(api.intentions, policy("api", { web: "deny", batch: "allow" }))
      assert.strictEqual(yield* web.record.ending, "ECONNRESET")
      batch.socket.write(" again")
      yield* batch.record.until(" AGAIN")
      assert.deepInclude(listener.stats(), { open: 1, accepted: 2, cut: 1 })
      const lines = JSON.stringify(yield* TestConsole.logLines)
      assert.include(lines, "cut 1 open connection of web (denied by intention web → api (precedence 9))")
      assert.include(lines, "the intentions changed")
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("judges open connections on a schedule too, should a change go unheard", () =>
    Effect.gen(function*() {
      const { contexts, issue } = yield* Listeners.listen()
      let inForce = policy("api", { web: "allow" })
      const deaf = { ...Watched.constant("the intentions", inForce), latest: () => inForce }
      const listener = yield* MeshListener.make({
        host: "127.0.0.1",
        port: 0,
        handle: Listeners.shout,
        reauthorize: Schedule.spaced("5 millis")
      }).pipe(Effect.provideService(Intentions.Intentions, deaf), Effect.provideContext(contexts))
      const client = yield* TlsClients.connect(listener.port, yield* issue("web"))
      yield* Sockets.eventually(() => listener.stats().open === 1)
      inForce = policy("api", { web: "deny" })
      assert.strictEqual(yield* Sockets.record(client.socket).ending, "ECONNRESET")
    }))

  it.live("resets callers whose handler failed, counts them and says why", () =>
    Effect.gen(function*() {
      const { issue, listener } = yield* Listeners.listen({ handle: () => new NoApplication() })
      const client = yield* TlsClients.connect(listener.port, yield* issue("web"))
      assert.strictEqual(yield* Sockets.record(client.socket).ending, "ECONNRESET")
      assert.strictEqual(listener.stats().failed, 1)
      assert.include(JSON.stringify(yield* TestConsole.logLines), "the connection of web failed: no application")
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("lets open connections finish when it closes, and accepts no more", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { handled, issue, listener } = yield* Scope.provide(Listeners.listen({ drain: "5 seconds" }), scope)
      const client = yield* TlsClients.connect(listener.port, yield* issue("web"))
      yield* Sockets.eventually(() => handled.length === 1)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      const refused = yield* Effect.flip(Effect.scoped(Sockets.connect(listener.port)))
      assert.include(refused.message, "ECONNREFUSED")
      const answer = Sockets.record(client.socket)
      client.socket.end("still here")
      assert.strictEqual(yield* answer.ending, "ended")
      assert.strictEqual(answer.text(), "STILL HERE")
      yield* Fiber.join(closing)
    }))

  it.live("resets what is left after the drain, handshakes included, and leaves nothing open", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { handled, issue, listener } = yield* Scope.provide(Listeners.listen({ drain: "20 millis" }), scope)
      const client = yield* TlsClients.connect(listener.port, yield* issue("web"))
      const silent = yield* Sockets.connect(listener.port)
      yield* Sockets.eventually(() => handled.length === 1)
      const [answer, nothing] = [Sockets.record(client.socket), Sockets.record(silent)]
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* answer.ending, "ECONNRESET")
      assert.strictEqual(yield* nothing.ending, "ended")
      yield* Sockets.eventually(() => listener.stats().open + listener.stats().handshaking === 0)
    }))

  it.live("cuts what a change of intentions denies also while handlers are slow to end after the drain", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const interrupted = yield* Deferred.make<void>()
      const over = yield* Deferred.make<void>()
      const handle = () =>
        Effect.onInterrupt(
          Effect.never,
          () => Effect.andThen(Deferred.succeed(interrupted, undefined), Deferred.await(over))
        )
      const { api, issue, listener } = yield* Scope.provide(Listeners.listen({ drain: 0, handle }), scope)
      const client = yield* TlsClients.connect(listener.port, yield* issue("web"))
      yield* Sockets.eventually(() => listener.stats().open === 1)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* Deferred.await(interrupted)
      yield* SubscriptionRef.set(api.intentions, policy("api", { web: "deny" }))
      assert.strictEqual(yield* Sockets.record(client.socket).ending, "ECONNRESET")
      assert.strictEqual(listener.stats().cut, 1)
      yield* Deferred.succeed(over, undefined)
      yield* Fiber.join(closing)
    }))

  describe.skipIf(!TlsClients.has("openssl"))("with openssl s_client", () => {
    /** With a certificate for `web`, and trust in `authority`. */
    const sClient = Effect.fnUntraced(function*(
      running: Running,
      flags: ReadonlyArray<string>,
      input = "hello\n",
      authority = running.ca
    ) {
      const files = yield* TlsClients.files(yield* running.issue("web"), authority)
      return yield* TlsClients.sClient(
        running.listener.port,
        [...flags, ...TlsClients.presenting(files), "-CAfile", files.root, "-verify_return_error"],
        { input, until: /HELLO|error|RENEGOTIATING[^]*(closed|alert|no renegotiation)/i }
      )
    })

    for (const version of ["-tls1_2", "-tls1_3"]) {
      it.live(`serves ${version}`, () =>
        Effect.gen(function*() {
          const running = yield* Listeners.listen()
          const { output } = yield* sClient(running, [version])
          assert.include(output, "HELLO")
          assert.include(output, "Verification: OK")
          assert.deepStrictEqual(running.handled, ["web"])
        }))
    }

    refuses("a peer that does not accept our certificate", "refused_by_peer", (running) =>
      Effect.flatMap(
        Effect.promise(() => Certificates.root("other")),
        (other) => sClient(running, [], undefined, other)
      ))

    refuses("TLS 1.1", "protocol_error", (running) => sClient(running, ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]))

    it.live("does not renegotiate", () =>
      Effect.gen(function*() {
        const running = yield* Listeners.listen()
        yield* sClient(running, ["-tls1_2"], "R\n")
        yield* Sockets.eventually(() => running.listener.stats().open === 0)
        yield* served(running)
      }))
  })

  describe.skipIf(!TlsClients.has("curl"))("with curl", () => {
    const answer = (connection: MeshListener.Connection) =>
      Effect.callback<void>((resume) => {
        connection.socket.once("data", () =>
          connection.socket.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"))
        connection.socket.once("close", () =>
          resume(Effect.void))
      })

    it.live("serves a client with a certificate, and not one without", () =>
      Effect.gen(function*() {
        const running = yield* Listeners.listen({ handle: answer })
        const files = yield* TlsClients.files(yield* running.issue("web"), running.ca)
        const url = `https://127.0.0.1:${running.listener.port}/`
        const good = yield* TlsClients.run("curl", ["-sk", "--cert", files.chain, "--key", files.key, url])
        const bad = yield* TlsClients.run("curl", ["-sk", url])
        assert.deepStrictEqual(good, { code: 0, output: "hello" })
        assert.notStrictEqual(bad.code, 0)
        assert.deepStrictEqual(running.handled, ["web"])
      }))
  })
})
