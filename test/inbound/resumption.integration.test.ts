/** A TLS session never spares a caller its verification. See docs/decisions/0004-no-session-resumption.md. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, SubscriptionRef } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import type * as Tls from "node:tls"
import * as Certificates from "../support/certificates.ts"
import * as Listeners from "../support/listeners.ts"
import { policy } from "../support/mesh.ts"
import * as Sockets from "../support/sockets.ts"
import * as TlsClients from "../support/tlsClients.ts"

const versions = ["TLSv1.2", "TLSv1.3"] as const

describe("a TLS session", () => {
  for (const version of versions) {
    it.live(`of node:tls is not resumed, ${version}`, () =>
      Effect.gen(function*() {
        const { api, handled, issue, listener } = yield* Listeners.listen()
        const issued = yield* issue("web")
        const first = yield* TlsClients.connect(listener.port, issued, { maxVersion: version })
        const sessions: Array<Buffer> = []
        first.socket.on("session", (session) => sessions.push(session))
        const answer = Sockets.record(first.socket)
        first.socket.end("hello")
        yield* answer.ending
        const session = sessions.at(-1) ?? first.socket.getSession()
        assert.isDefined(session)

        const again = (certificate: Certificates.Issued | undefined) =>
          TlsClients.connect(listener.port, certificate, { maxVersion: version, session: session! })
        const second = yield* again(issued)
        assert.isFalse(second.socket.isSessionReused())
        yield* Sockets.eventually(() => handled.length === 2)

        yield* Effect.ignore(again(undefined))
        yield* Sockets.eventually(() => listener.stats().refused.no_certificate === 1)

        yield* SubscriptionRef.set(api.intentions, policy("api", { web: "deny" }))
        yield* Effect.ignore(again(issued))
        yield* Sockets.eventually(() => listener.stats().refused.denied === 1)
        assert.strictEqual(handled.length, 2)
      }))
  }

  it.live.skipIf(!TlsClients.has("openssl"))(
    "of openssl s_client is not resumed, before or after a rotation",
    () =>
      Effect.gen(function*() {
        const running = yield* Listeners.listen()
        const { api, ca, handled, issue, listener } = running
        const files = yield* TlsClients.files(yield* issue("web"), ca)
        const client = (version: Tls.SecureVersion, ...more: ReadonlyArray<string>) =>
          TlsClients.sClient(
            listener.port,
            ["-CAfile", files.root, `-${version.toLowerCase().replace("v", "").replace(".", "_")}`, ...more],
            { input: "hello\n", until: /HELLO|error|closed/i }
          )
        const certificate = TlsClients.presenting(files)
        for (const version of versions) {
          const session = join(files.folder, `session-${version}`)
          const first = yield* client(version, ...certificate, "-sess_out", session)
          assert.include(first.output, "HELLO")
          assert.isTrue(existsSync(session))
          const second = yield* client(version, ...certificate, "-sess_in", session)
          assert.include(second.output, "HELLO")
          assert.notInclude(second.output, "Reused")

          yield* SubscriptionRef.set(api.leaf, yield* Effect.promise(() => Certificates.leafOf(ca, "api")))
          const third = yield* client(version, ...certificate, "-sess_in", session)
          assert.notInclude(third.output, "Reused")
          const before = handled.length
          const without = yield* client(version, "-sess_in", session)
          assert.notInclude(without.output, "HELLO")
          assert.strictEqual(handled.length, before)
        }
        assert.strictEqual(listener.stats().refused.no_certificate, 2)
      })
  )
})
