import { assert, describe, it } from "@effect/vitest"
import * as Settings from "../../src/consul/Settings.ts"
import * as TransportFailure from "../../src/consul/TransportFailure.ts"

const failed = (code: string, message = code) => Object.assign(new Error(message), { code })

const flags: Settings.Names = {
  caFile: "--ca-file",
  caPath: "--ca-path",
  clientCertFile: "--client-cert",
  clientKeyFile: "--client-key",
  tlsServerName: "--tls-server-name"
}

describe("a connection to the agent that fails", () => {
  it.each([
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "CONSUL_CACERT"],
    ["SELF_SIGNED_CERT_IN_CHAIN", "CONSUL_CACERT"],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "CONSUL_TLS_SERVER_NAME"],
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "CONSUL_CLIENT_CERT"],
    ["CERT_HAS_EXPIRED", "clocks"],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "http://"]
  ])("with %s is mended by %s", (code, remedy) => {
    const explained = TransportFailure.explain(failed(code, "try Node.js with --use-system-ca"), Settings.defaults)
    assert.include(explained.remedy, remedy)
  })

  it("is told with the flag that sets what is wrong, where flags are used", () => {
    const { remedy, why } = TransportFailure.explain(
      failed("SELF_SIGNED_CERT_IN_CHAIN", "try Node.js with --use-system-ca"),
      { ...Settings.defaults, names: flags }
    )
    assert.include(remedy, "--ca-file")
    assert.notInclude(why, "--use-system-ca")
  })

  it("for want of a listener has no remedy of its own", () => {
    assert.deepStrictEqual(
      TransportFailure.explain(failed("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1"), Settings.defaults),
      {
        why: "connect ECONNREFUSED 127.0.0.1:1"
      }
    )
  })
})
