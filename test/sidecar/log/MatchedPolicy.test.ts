import { assert, describe, it } from "@effect/vitest"
import * as Authorizer from "../../../src/intention/Authorizer.ts"
import * as Intention from "../../../src/intention/Intention.ts"
import * as MatchedPolicy from "../../../src/sidecar/log/MatchedPolicy.ts"
import * as Certificates from "../../support/certificates.ts"

const deny = (path: string) => [{ Action: "deny", HTTP: { PathExact: path } } as const]

/** Those of the recordings, and one more. */
const intentions = [
  Intention.make("other", "api", "allow"),
  Intention.make("admin", "api", deny("/secret")),
  Intention.make("web", "api", deny("/secret")),
  Intention.make("*", "api", "deny")
]

const refused = (caller: string, defaultPolicy: Authorizer.DefaultPolicy) => {
  const authorizer = Authorizer.compile({
    destination: { service: "api", protocol: "http" },
    trustDomain: Certificates.trustDomain,
    intentions,
    defaultPolicy
  })
  const request = { method: "GET", path: "/secret", header: () => undefined, lines: () => undefined }
  const decision = authorizer.request(Certificates.service(caller), request)
  assert.isFalse(decision.allowed)
  return MatchedPolicy.details(decision, authorizer)
}

describe("MatchedPolicy", () => {
  it("is that of all intentions about connections, or one of each that has permissions", () => {
    assert.strictEqual(refused("nobody", "allow"), "rbac_access_denied_matched_policy[consul-intentions-layer4]")
    assert.strictEqual(refused("admin", "allow"), "rbac_access_denied_matched_policy[consul-intentions-layer7-0]")
    assert.strictEqual(refused("web", "allow"), "rbac_access_denied_matched_policy[consul-intentions-layer7-1]")
  })

  it("is none where the default is to deny", () => {
    assert.strictEqual(refused("nobody", "deny"), "rbac_access_denied_matched_policy[none]")
    assert.strictEqual(refused("web", "deny"), "rbac_access_denied_matched_policy[none]")
  })
})
