import { assert, describe, it } from "@effect/vitest"
import * as Intention from "../../../src/intention/Intention.ts"
import * as Principals from "../../../src/xds/translate/Principals.ts"
import * as TlsContexts from "../../../src/xds/translate/TlsContexts.ts"
import { sidecar } from "../../support/xdsSnapshots.ts"

const pem = (name: string) => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----\n`

const peer = (trustDomain: string, ...roots: ReadonlyArray<string>) => ({ trustDomain, roots: roots.map(pem).join("") })

const { credentials } = sidecar()

/** By trust domain. */
const bundles = (peers: Parameters<typeof TlsContexts.downstream>[1]) => {
  const { typed_config } = TlsContexts.downstream(credentials, peers, undefined, "tcp")
  const { common_tls_context: { validation_context } } = JSON.parse(JSON.stringify(typed_config))
  const domains: ReadonlyArray<{ readonly name: string; readonly trust_bundle: { readonly inline_string: string } }> =
    validation_context.custom_validator_config.typed_config.trust_domains
  return domains.map(({ name, trust_bundle }) => [name, trust_bundle.inline_string])
}

describe("callers of peers", () => {
  // Envoy refuses a listener with two bundles for one trust domain, and would keep to the intentions of before.
  it("of one trust domain are vouched for by the roots that all these peers have", () => {
    assert.deepStrictEqual(
      bundles(
        new Map([
          ["east", peer("east.consul", "one", "two")],
          ["again", peer("east.consul", "two", "three")],
          ["west", peer("west.consul", "four")],
          ["north", peer("north.consul", "five")],
          ["other", peer("north.consul", "six")]
        ])
      ),
      [["mesh.consul", "roots"], ["east.consul", pem("two")], ["west.consul", pem("four")]]
    )
  })

  it("are none of ours, though their peer says that it has our trust domain", () => {
    const peers = new Map([["evil", peer(credentials.trustDomain, "evil")]])
    assert.notInclude(JSON.stringify(TlsContexts.downstream(credentials, peers, undefined, "tcp")), "evil")
    const intentions = [Intention.make("web", "api", "allow", { SourcePeer: "evil" })]
    assert.deepStrictEqual(Principals.rules({ trustDomain: credentials.trustDomain, peers, intentions }, false), [])
  })
})
