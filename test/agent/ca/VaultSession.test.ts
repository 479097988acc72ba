import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Logger, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as VaultApi from "../../../src/agent/ca/vault/VaultApi.ts"
import * as VaultSession from "../../../src/agent/ca/vault/VaultSession.ts"
import type * as VaultSettings from "../../../src/agent/ca/vault/VaultSettings.ts"

const mount = { path: "pki", namespace: "" }
const settings = (access: VaultSettings.Access): VaultSettings.VaultSettings => ({
  address: "http://vault",
  access,
  namespace: "",
  root: mount,
  intermediate: mount,
  tls: { caFile: "", caPath: "", certFile: "", keyFile: "", serverName: "", skipVerify: false }
})
const token: VaultSettings.Access = { _tag: "Token", token: Redacted.make("given") }
const login: VaultSettings.Access = { _tag: "Login", path: "auth/approle/login", body: Redacted.make({}) }

/** Answers with what `answer` says, and remembers what was asked. */
const scripted = (answer: (request: VaultApi.Request) => unknown) => {
  const asked: Array<string> = []
  const api: VaultApi.VaultApi = {
    text: () => Effect.die("not asked for"),
    json: (schema, request) =>
      Effect.suspend(() => {
        asked.push(request.path)
        const body = answer(request)
        return body === undefined
          ? Effect.fail(new VaultApi.VaultError({ request: request.path, status: 403, why: "permission denied" }))
          : Effect.orDie(Schema.decodeUnknownEffect(schema)(body))
      })
  }
  return { api, asked }
}
const self = (ttl: number, renewable: boolean) => ({ data: { ttl, renewable } })
const auth = (client_token: string, lease_duration: number, renewable = true) => ({
  auth: { client_token, lease_duration, renewable }
})

describe("VaultSession", () => {
  it.effect("renews a token after two thirds of its life, again and again", () =>
    Effect.gen(function*() {
      const { api, asked } = scripted(({ path }) =>
        path === "auth/token/lookup-self" ? self(300, true) : auth("given", 300)
      )
      const session = yield* VaultSession.make(api, settings(token))
      yield* TestClock.adjust("199 seconds")
      assert.deepStrictEqual(asked, ["auth/token/lookup-self"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(asked.slice(1), ["auth/token/renew-self"])
      yield* TestClock.adjust("400 seconds")
      assert.strictEqual(asked.length, 4)
      assert.strictEqual(Redacted.value(session.token()), "given")
    }))

  it.effect("tries again while Vault does not renew it", () =>
    Effect.gen(function*() {
      let isThere = false
      const { api, asked } = scripted(({ path }) =>
        path === "auth/token/lookup-self" ? self(300, true) : isThere ? auth("given", 300) : undefined
      )
      yield* VaultSession.make(api, settings(token))
      yield* TestClock.adjust("230 seconds")
      const tries = asked.length
      assert.isAbove(tries, 3)
      isThere = true
      yield* TestClock.adjust("60 seconds")
      assert.isAbove(asked.length, tries)
      const settled = asked.length
      yield* TestClock.adjust("100 seconds")
      assert.strictEqual(asked.length, settled)
    }))

  it.effect("logs in again where a token has reached its end, and where it is not renewed", () =>
    Effect.gen(function*() {
      let logins = 0
      let maximum = 300
      const { api, asked } = scripted(({ path }) => {
        if (path === "auth/approle/login") return auth(`token ${++logins}`, maximum = 300)
        maximum = Math.floor(maximum / 3)
        return path === "auth/token/renew-self" && logins === 1 ? auth("token 1", maximum) : undefined
      })
      const session = yield* VaultSession.make(api, settings(login))
      assert.strictEqual(Redacted.value(session.token()), "token 1")
      // Leases of 300, 100, 33 and 11 seconds; less than a tenth of the first is as good as none.
      yield* TestClock.adjust(Duration.seconds(200 + 67 + 23 + 8))
      assert.strictEqual(logins, 2)
      assert.strictEqual(Redacted.value(session.token()), "token 2")
      assert.strictEqual(asked.filter((path) => path === "auth/token/renew-self").length, 3)
      yield* TestClock.adjust("200 seconds")
      assert.strictEqual(Redacted.value(session.token()), "token 3")
    }))

  it.effect("says that a token which was given reaches the end of all its renewals", () =>
    Effect.gen(function*() {
      let maximum = 300
      const { api, asked } = scripted(({ path }) =>
        path === "auth/token/lookup-self" ? self(300, true) : auth("given", maximum = Math.floor(maximum / 4))
      )
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      yield* VaultSession.make(api, settings(token)).pipe(
        Effect.provideService(Logger.CurrentLoggers, new Set([logger]))
      )
      // Leases of 300, 75 and 18 seconds: the last one is nothing to build on.
      yield* TestClock.adjust(Duration.seconds(200 + 50))
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0]!, /^the token for Vault can not be renewed any more, and ends in 18s: no certificates/)
      yield* TestClock.adjust("1 day")
      assert.strictEqual(asked.length, 3)
    }))

  it.effect("leaves a token alone that does not end", () =>
    Effect.gen(function*() {
      const { api, asked } = scripted(() => self(0, false))
      yield* VaultSession.make(api, settings(token))
      yield* TestClock.adjust("365 days")
      assert.strictEqual(asked.length, 1)
    }))
})
