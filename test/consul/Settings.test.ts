import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted, Result } from "effect"
import * as Settings from "../../src/consul/Settings.ts"

const read = (env: Record<string, string>, options?: Partial<Settings.Settings>) =>
  Settings.fromEnvironment(options).pipe(
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
  )

describe("Settings", () => {
  it.effect("are the documented defaults in an empty environment", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* read({}), Settings.defaults)
    }))

  it.effect("come from every variable that Consul's tools read", () =>
    Effect.gen(function*() {
      const settings = yield* read({
        CONSUL_HTTP_ADDR: "https://consul.example:8501",
        CONSUL_HTTP_TOKEN: "s3cr3t",
        CONSUL_HTTP_TOKEN_FILE: "/run/token",
        CONSUL_HTTP_AUTH: "user:pass",
        CONSUL_HTTP_SSL: "T",
        CONSUL_HTTP_SSL_VERIFY: "0",
        CONSUL_CACERT: "/ca.pem",
        CONSUL_CAPATH: "/ca.d",
        CONSUL_CLIENT_CERT: "/cert.pem",
        CONSUL_CLIENT_KEY: "/key.pem",
        CONSUL_TLS_SERVER_NAME: "server.dc1.consul",
        CONSUL_NAMESPACE: "team",
        CONSUL_PARTITION: "east"
      })
      assert.deepStrictEqual(
        { ...settings, token: Redacted.value(settings.token!), basicAuth: Redacted.value(settings.basicAuth!) },
        {
          address: "https://consul.example:8501",
          ssl: true,
          sslVerify: false,
          stale: false,
          token: "s3cr3t",
          tokenFile: "/run/token",
          basicAuth: "user:pass",
          caFile: "/ca.pem",
          caPath: "/ca.d",
          clientCertFile: "/cert.pem",
          clientKeyFile: "/key.pem",
          tlsServerName: "server.dc1.consul",
          namespace: "team",
          partition: "east",
          datacenter: undefined
        }
      )
      assert.notInclude(JSON.stringify(settings) + String(settings.token), "s3cr3t")
    }))

  it.effect("given in code win, and a token in code also over a token file in the environment", () =>
    Effect.gen(function*() {
      const settings = yield* read(
        { CONSUL_HTTP_ADDR: "a:1", CONSUL_HTTP_TOKEN_FILE: "/run/token" },
        { address: "b:2", token: Redacted.make("x") }
      )
      assert.strictEqual(settings.address, "b:2")
      assert.strictEqual(settings.tokenFile, undefined)
    }))

  it.effect("refuse a boolean that is none, as it would turn verification off unnoticed", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(read({ CONSUL_HTTP_SSL_VERIFY: "yes" }))
      assert.strictEqual(error.message, "CONSUL_HTTP_SSL_VERIFY is \"yes\": write true or false")
    }))

  it.each([
    ["127.0.0.1:8500", false, "http://127.0.0.1:8500"],
    ["127.0.0.1:8500", true, "https://127.0.0.1:8500"],
    ["http://10.0.0.1:8500", true, "https://10.0.0.1:8500"],
    ["https://10.0.0.1:8501/", false, "https://10.0.0.1:8501"],
    ["consul.example/base/path/", false, "http://consul.example/base/path"],
    ["[::1]:8500", false, "http://[::1]:8500"]
  ])("read the address %s (ssl %s) as %s", (address, ssl, baseUrl) => {
    const endpoint = Result.getOrThrow(Settings.endpoint({ ...Settings.defaults, address, ssl }))
    assert.deepStrictEqual(endpoint, { baseUrl, socketPath: undefined })
  })

  it("read unix:///tmp/x.sock as a socket", () => {
    const endpoint = Settings.endpoint({ ...Settings.defaults, address: "unix:///tmp/x.sock" })
    assert.deepStrictEqual(Result.getOrThrow(endpoint), { baseUrl: "http://localhost", socketPath: "/tmp/x.sock" })
  })

  it.each(["ftp://x:1", "unix://", "", "http://", "a b:1", "http://u:p@x:1", "x:1?y=2"])(
    "refuse the address %j, saying what to write",
    (address) => {
      const result = Settings.endpoint({ ...Settings.defaults, address })
      assert.match(Result.isFailure(result) ? result.failure.message : "accepted", /use |write /)
    }
  )
})
