import { assert, describe, it } from "@effect/vitest"
import * as HandshakeFailure from "../../src/tls/HandshakeFailure.ts"
import * as Refusal from "../../src/tls/Refusal.ts"

describe("HandshakeFailure", () => {
  it.each([
    ["ERR_TLS_HANDSHAKE_TIMEOUT", "handshake_timeout"],
    ["ERR_SSL_HTTP_REQUEST", "not_tls"],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "not_tls"],
    ["ECONNRESET", "disconnected"],
    ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "refused_by_peer"],
    ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", "refused_by_peer"],
    ["ERR_SSL_NO_SHARED_CIPHER", "protocol_error"]
  ])(
    "takes %s for %s",
    (code, reason) =>
      assert.strictEqual(
        Refusal.reason(HandshakeFailure.toRefusal(Object.assign(new Error(code), { code }), 5)),
        reason
      )
  )
})
