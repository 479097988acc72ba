import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as JwtProvider from "../../../src/consul/config/JwtProvider.ts"
import * as Intention from "../../../src/intention/Intention.ts"
import * as OwnClusters from "../../../src/xds/translate/OwnClusters.ts"
import * as Tokens from "../../../src/xds/translate/Tokens.ts"
import { remoteEntry } from "../../support/tokens.ts"
import { sidecar } from "../../support/xdsSnapshots.ts"

const intentions = [Intention.make("web", "api", "allow", { JWT: { Providers: [{ Name: "okta" }] } })]

const issuers = (uri: string, rest: object = {}) =>
  new Map([["okta", Schema.decodeSync(JwtProvider.JwtProvider)(remoteEntry(uri, rest))]])

const keysOf = (jwtProviders: Tokens.Issuers) =>
  OwnClusters.make(sidecar({ intentions, jwtProviders })).find(({ name }) => name === "jwks_cluster_okta")

describe("keys of token providers", () => {
  it.each([
    ["https://keys.example/jwks", "DNS", "keys.example"],
    ["https://10.0.0.7:8443/jwks", "IP_ADDRESS", "10.0.0.7"],
    ["https://[2001:db8::7]/jwks", "IP_ADDRESS", "2001:db8::7"]
  ])("come from who has a certificate for their address: %s", (uri, san_type, exact) => {
    assert.deepStrictEqual(keysOf(issuers(uri))?.transport_socket?.typed_config?.["common_tls_context"], {
      validation_context: {
        trusted_ca: { filename: "/etc/ssl/certs/ca-certificates.crt" },
        match_typed_subject_alt_names: [{ san_type, matcher: { exact } }]
      }
    })
  })

  it.each([[false, false], [true, true]])(
    "hold a listener back unless they are fetched asynchronously: %s",
    (FetchAsynchronously, fast_listener) => {
      const filter = Tokens.filter(intentions, issuers("https://keys.example", { FetchAsynchronously }))
      const { providers } = JSON.parse(JSON.stringify(filter?.typed_config))
      assert.deepInclude(providers.okta.remote_jwks, { async_fetch: { fast_listener } })
    }
  )
})
