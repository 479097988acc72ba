/** Callers of every kind at the door of a mesh listener: real sockets, openssl and curl. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, type Scope, SubscriptionRef } from "effect"
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import * as Tls from "node:tls"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Audit from "../../src/intention/Audit.ts"
import * as MeshListener from "../../src/inbound/MeshListener.ts"
import type * as Refusal from "../../src/tls/Refusal.ts"
import * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as Certificates from "../support/certificates.ts"
import * as mesh from "../support/mesh.ts"
import { eventually, record } from "../support/sockets.ts"
import * as temporary from "../support/temporary.ts"

/** `api`, which lets `web` in and answers it with a minimal HTTP response naming the caller. */
const listening = (options?: Partial<MeshListener.Options<never>>) =>
  Effect.gen(function*() {
    const authority = yield* Effect.promise(() => Certificates.root("mesh"))
    const api = yield* mesh.member("api", authority)
    const log: Array<string> = []
    const context = yield* Layer.build(api.layer)
    const listener = yield* MeshListener.make({
      host: "127.0.0.1",
      port: 0,
      drain: "50 millis",
      handle: ({ caller, socket }) =>
        Effect.callback<void>((resume) => {
          socket.once("data", () => {
            const body = `hello ${caller.service}\n`
            socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`)
          })
          socket.on("close", () => resume(Effect.void))
        }),
      ...options
    }).pipe(
      Effect.provideContext(context),
      Effect.provide(Logger.layer([Logger.map(Logger.formatLogFmt, (line) => void log.push(line))]))
    )
    const refused = (reason: Refusal.Reason) =>
      Effect.gen(function*() {
        yield* eventually(() => listener.stats().refused[reason] !== undefined && listener.stats().handshaking === 0)
        assert.deepStrictEqual(listener.stats().refused, { [reason]: 1 })
        assert.strictEqual(listener.stats().accepted, 0)
        yield* eventually(() => reason === "disconnected" || log.some((line) => line.includes(`reason=${reason}`)))
      })
    const material = Context.get(context, SecureContexts.SecureContexts).current
    return { authority, api, listener, refused, log, material }
  })

const connect = (port: number): Effect.Effect<Net.Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket>((resume) => {
      const socket = Net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Connects with this certificate, sends a request, and tells how the connection ended. */
const call = (port: number, certificate: Certificates.Issued | undefined, options: Tls.ConnectionOptions = {}) =>
  Effect.gen(function*() {
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() =>
        Tls.connect({
          host: "127.0.0.1",
          port,
          rejectUnauthorized: false,
          ...(certificate === undefined ? {} : { cert: certificate.chainPem, key: certificate.keyPem }),
          ...options
        })
      ),
      (socket) => Effect.sync(() => socket.destroy())
    )
    const heard = record(socket)
    socket.write("GET / HTTP/1.1\r\n\r\n")
    const ending = yield* heard.ending
    return { ending, text: heard.text() }
  })

const uri = (name: string) => SpiffeId.format(Certificates.service(name))

interface BadCaller {
  readonly who: string
  readonly reason: Refusal.Reason
  readonly certificate: (authority: Certificates.Authority) => Promise<Certificates.Issued | undefined>
}

const minute = 60_000

const badCallers: ReadonlyArray<BadCaller> = [
  { who: "without a certificate", reason: "no_certificate", certificate: () => Promise.resolve(undefined) },
  {
    who: "with an expired certificate",
    reason: "certificate_expired",
    certificate: (ca) => Certificates.issue(ca, { notBefore: -2 * minute, notAfter: -minute })
  },
  {
    who: "with a certificate of tomorrow",
    reason: "certificate_not_yet_valid",
    certificate: (ca) => Certificates.issue(ca, { notBefore: minute, notAfter: 2 * minute })
  },
  {
    who: "from another authority of the same name",
    reason: "unknown_authority",
    certificate: async () => Certificates.issue(await Certificates.root("mesh"))
  },
  {
    who: "whose certificate has no URI",
    reason: "no_identity",
    certificate: (ca) => Certificates.issue(ca, { uris: [], dns: ["web.consul"] })
  },
  {
    who: "whose URI is of another form",
    reason: "invalid_identity",
    certificate: (ca) => Certificates.issue(ca, { uris: ["https://example.com/web"] })
  },
  {
    who: "that is a Consul agent",
    reason: "not_a_service",
    certificate: (ca) =>
      Certificates.issue(ca, { uris: [`spiffe://${Certificates.trustDomain}/agent/client/dc/dc1/id/node`] })
  },
  {
    who: "whose certificate is for servers only",
    reason: "wrong_purpose",
    certificate: (ca) => Certificates.issue(ca, { usages: ["server"] })
  },
  {
    who: "that no intention allows",
    reason: "denied",
    certificate: (ca) => Certificates.issue(ca, { uris: [uri("mallory")] })
  },
  {
    who: "that has a second name",
    reason: "several_identities",
    certificate: (ca) => Certificates.issue(ca, { uris: [uri("web"), uri("mallory")] })
  },
  {
    who: "with the certificate of an authority",
    reason: "authority_as_leaf",
    certificate: (ca) => Certificates.issue(ca, { isCa: true })
  },
  {
    who: "whom the authority of another mesh vouches for",
    reason: "foreign_authority",
    certificate: async (ca) => {
      const foreign = await Certificates.intermediate(ca, "foreign", { uris: ["spiffe://other.consul"] })
      return Certificates.issue(foreign, { intermediates: [foreign] })
    }
  }
]

describe("a mesh listener", () => {
  for (const { certificate, reason, who } of badCallers) {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      it.live(`refuses a caller ${who}, by ${maxVersion}`, () =>
        Effect.gen(function*() {
          const { authority, listener, refused } = yield* listening()
          const issued = yield* Effect.promise(() => certificate(authority))
          const { ending, text } = yield* call(listener.port, issued, { maxVersion })
          assert.strictEqual(text, "")
          assert.notStrictEqual(ending, "ended", "an orderly end would look like an empty answer")
          yield* refused(reason)
        }))
    }
  }

  it.live("refuses a caller that speaks plain text", () =>
    Effect.gen(function*() {
      const { listener, refused } = yield* listening()
      const socket = yield* connect(listener.port)
      const heard = record(socket)
      socket.write("GET / HTTP/1.1\r\nHost: api\r\n\r\n")
      yield* heard.ending
      yield* refused("not_tls")
    }))

  it.live("refuses a caller whose handshake stalls, and frees it", () =>
    Effect.gen(function*() {
      const { listener, refused } = yield* listening({ handshakeTimeout: "200 millis" })
      const heard = record(yield* connect(listener.port))
      yield* heard.ending
      yield* refused("handshake_timeout")
    }))

  it.live("is not troubled by health checks that connect and leave", () =>
    Effect.gen(function*() {
      const { listener, log, refused } = yield* listening()
      const socket = yield* connect(listener.port)
      socket.end()
      yield* refused("disconnected")
      assert.deepStrictEqual(log, [])
    }))

  it.live("refuses TLS 1.1", () =>
    Effect.gen(function*() {
      const { authority, listener, refused } = yield* listening()
      const issued = yield* Effect.promise(() => Certificates.issue(authority))
      yield* call(listener.port, issued, {
        minVersion: "TLSv1.1",
        maxVersion: "TLSv1.1",
        ciphers: "DEFAULT:@SECLEVEL=0"
      })
      yield* refused("protocol_error")
    }))

  it.live("lets everybody of the mesh in while it audits, and records who would be refused", () =>
    Effect.gen(function*() {
      const { api, authority, listener, log } = yield* listening()
      yield* SubscriptionRef.update(api.intentions, (authorizer) => Audit.authorizer(Audit.everywhere, authorizer))
      const mallory = yield* Effect.promise(() => Certificates.issue(authority, { uris: [uri("mallory")] }))
      assert.match((yield* call(listener.port, mallory)).text, /hello mallory/)
      const stranger = yield* Effect.promise(async () => Certificates.issue(await Certificates.root("mesh")))
      assert.strictEqual((yield* call(listener.port, stranger)).text, "", "certificates are verified all the same")
      assert.deepStrictEqual(listener.denials(), [
        { source: "mallory", destination: "api", rule: "default policy", refusals: 1, audited: 1 }
      ])
      yield* eventually(() => log.some((line) => line.includes("let through, in audit mode")))
    }))

  it.live("turns away what is beyond its limit, and goes on", () =>
    Effect.gen(function*() {
      const { authority, listener } = yield* listening({ maxConnections: 1 })
      const first = yield* connect(listener.port)
      yield* eventually(() => listener.stats().handshaking === 1)
      yield* record(yield* connect(listener.port)).ending
      assert.deepStrictEqual(listener.stats().refused, { too_many_connections: 1 })
      first.destroy()
      yield* eventually(() => listener.stats().handshaking === 0)
      const issued = yield* Effect.promise(() => Certificates.issue(authority))
      assert.match((yield* call(listener.port, issued)).text, /hello web/)
    }))

  it.live("says at once that its port is taken, and which", () =>
    Effect.gen(function*() {
      const { listener } = yield* listening()
      const error = yield* Effect.flip(listening({ port: listener.port }))
      assert.strictEqual(error._tag, "ListenError")
      assert.include(error.message, `127.0.0.1:${listener.port}`)
    }))

  it.live("serves new handshakes with new material, and leaves open connections alone", () =>
    Effect.gen(function*() {
      const { api, authority, listener, material } = yield* listening()
      const next = yield* Effect.promise(() => Certificates.root("next"))
      const old = yield* Effect.promise(() => Certificates.issue(authority))
      const open = yield* Effect.acquireRelease(
        Effect.callback<Tls.TLSSocket>((resume) => {
          const socket = Tls.connect(
            { host: "127.0.0.1", port: listener.port, rejectUnauthorized: false, cert: old.chainPem, key: old.keyPem },
            () => resume(Effect.succeed(socket))
          )
          socket.on("error", () => {})
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      yield* eventually(() => listener.stats().open === 1)
      const roots = Certificates.bundle(next)
      const leaf = yield* Effect.promise(() => Certificates.leafOf(next, "api"))
      yield* SubscriptionRef.set(api.roots, roots)
      yield* SubscriptionRef.set(api.leaf, leaf)
      const issued = yield* Effect.promise(() => Certificates.issue(next))
      yield* eventually(() => material().roots === roots && material().leaf === leaf)
      assert.match((yield* call(listener.port, issued)).text, /hello web/)
      assert.strictEqual((yield* call(listener.port, old)).text, "", "the old authority is gone for new callers")
      const heard = record(open)
      open.write("GET / HTTP/1.1\r\n\r\n")
      yield* heard.ending
      assert.match(heard.text(), /hello web/)
    }))

  it.live("admits openssl and curl as what their certificates say, and offers no session to resume", () =>
    Effect.gen(function*() {
      const { authority, listener } = yield* listening()
      const folder = yield* temporary.folder
      const issued = yield* Effect.promise(() => Certificates.issue(authority))
      const [cert, key, ca] = ["cert.pem", "key.pem", "ca.pem"].map((name) => join(folder, name)) as [
        string,
        string,
        string
      ]
      writeFileSync(cert, issued.chainPem)
      writeFileSync(key, issued.keyPem)
      writeFileSync(ca, authority.pem)
      const url = `https://127.0.0.1:${listener.port}/`
      const curl = yield* run("curl", ["-sk", "--max-time", "5", "--cert", cert, "--key", key, url])
      assert.strictEqual(curl.output, "hello web\n")
      const session = join(folder, "session.pem")
      const client = [
        "s_client",
        "-connect",
        `127.0.0.1:${listener.port}`,
        "-CAfile",
        ca,
        "-cert",
        cert,
        "-key",
        key,
        "-quiet"
      ]
      const first = yield* run("openssl", [...client, "-tls1_2", "-sess_out", session], "GET / HTTP/1.1\r\n\r\n")
      assert.include(first.output, "hello web")
      const again = yield* run("openssl", [...client, "-tls1_2", "-sess_in", session], "GET / HTTP/1.1\r\n\r\n")
      assert.include(again.output, "hello web")
      assert.strictEqual(listener.stats().accepted, 3)
      assert.deepStrictEqual(listener.stats().refused, {})
    }))
})

/** Runs a program to its end, at most 10 seconds. */
const run = (program: string, args: ReadonlyArray<string>, input = "") =>
  Effect.callback<{ readonly code: number | null; readonly output: string }>((resume) => {
    const child = spawn(program, args, { timeout: 10_000 })
    let output = ""
    child.stdout.on("data", (data: Buffer) => output += data)
    child.stderr.on("data", (data: Buffer) => output += data)
    child.on("error", (error) => resume(Effect.succeed({ code: null, output: error.message })))
    child.on("close", (code) => resume(Effect.succeed({ code, output })))
    child.stdin.write(input)
    return Effect.sync(() => child.kill("SIGKILL"))
  })
