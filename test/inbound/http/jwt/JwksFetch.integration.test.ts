import * as Fs from "node:fs"
import * as Https from "node:https"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as JwksFetch from "../../../../src/inbound/http/jwt/JwksFetch.ts"
import type * as JwtProvider from "../../../../src/watch/JwtProvider.ts"
import { badAgent } from "../../../support/agents.ts"
import * as Certificates from "../../../support/certificates.ts"
import * as temporary from "../../../support/temporary.ts"
import * as Tokens from "../../../support/tokens.ts"

const source = (uri: string, rest: Partial<JwtProvider.RemoteKeys> = {}): JwtProvider.RemoteKeys => {
  const { keys } = Tokens.provider(Tokens.remoteEntry(uri))
  return { ...(keys as JwtProvider.RemoteKeys), ...rest }
}

const refusal = (source: JwtProvider.RemoteKeys) =>
  Effect.map(Effect.flip(JwksFetch.fetch(source)), ({ message }) => message)

/** A server whose certificate is of nobody whom Node knows. */
const serveTls = Effect.gen(function*() {
  const ca = yield* Effect.promise(() => Certificates.root("keys"))
  const { chainPem, keyPem } = yield* Effect.promise(() => Certificates.issue(ca, { dns: ["localhost"], uris: [] }))
  const port = yield* Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly server: Https.Server }>((resume) => {
      const server = Https.createServer({ cert: chainPem, key: keyPem }, (_, response) => response.end("keys"))
      server.listen(
        0,
        "127.0.0.1",
        () => resume(Effect.succeed({ server, port: (server.address() as AddressInfo).port }))
      )
    }),
    ({ server }) => Effect.callback<void>((done) => void server.close(() => done(Effect.void)))
  )
  return { pem: ca.pem, uri: `https://localhost:${port.port}/keys` }
})

describe("JwksFetch", () => {
  it.live("verifies the server by the authorities of the entry, from wherever it has them", () =>
    Effect.gen(function*() {
      const { pem, uri } = yield* serveTls
      const folder = yield* temporary.folder
      const path = join(folder, "ca.pem")
      const name = "EFFECT_MESH_TEST_JWKS_CA"
      Fs.writeFileSync(path, pem)
      process.env[name] = pem
      yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env[name]))
      for (const ca of [{ _tag: "Inline", pem }, { _tag: "File", path }, { _tag: "Variable", name }] as const) {
        assert.strictEqual(yield* JwksFetch.fetch(source(uri, { ca })), "keys", ca._tag)
      }
      const other = yield* Effect.promise(() => Certificates.root("other"))
      for (const ca of [undefined, { _tag: "Inline", pem: other.pem }] as const) {
        assert.match(yield* refusal(source(uri, { ca })), /certificate/)
      }
      assert.match(
        yield* refusal(source(uri.replace("localhost", "127.0.0.1"), { ca: { _tag: "Inline", pem } })),
        /altnames/
      )
      assert.match(yield* refusal(source(uri, { ca: { _tag: "File", path: join(folder, "none") } })), /ENOENT/)
      assert.match(yield* refusal(source(uri, { ca: { _tag: "Variable", name: `${name}_NONE` } })), /_NONE.*is not set/)
    }))

  it.live("takes no longer than it should, and no more than it should", () =>
    Effect.gen(function*() {
      const silent = yield* badAgent(() => {})
      assert.match(
        yield* refusal(source(`http://${silent.address}`, { timeoutMilliseconds: 50 })),
        /timed out/
      )
      const large = yield* badAgent((_, response) => void response.end("x".repeat(2 * 1024 * 1024)))
      assert.match(yield* refusal(source(`http://${large.address}`)), /max/i)
      assert.strictEqual(silent.open(), 0)
    }))

  it.live.each(
    [
      ["not a URL", /not a URL/],
      ["ftp://127.0.0.1/keys", /ftp/],
      ["http://user:secret@127.0.0.1:1/keys?key=secret", /^GET http:\/\/127.0.0.1:1\/keys: [^?]*ECONNREFUSED/]
    ] as const
  )(
    "says what is wrong with %s",
    ([uri, why]) => Effect.map(refusal(source(uri)), (message) => assert.match(message, why))
  )
})
