import { assert, describe, it } from "@effect/vitest"
import * as Intention from "../../../src/intention/Intention.ts"
import type * as PathNormalization from "../../../src/intention/PathNormalization.ts"
import * as RefusalAnswer from "../../../src/inbound/http/RefusalAnswer.ts"
import * as RequestAdmission from "../../../src/inbound/http/RequestAdmission.ts"
import * as Certificates from "../../support/certificates.ts"
import * as Mesh from "../../support/mesh.ts"

const authorizer = Mesh.requestPolicy(
  "api",
  Intention.make("web", "api", [
    { Action: "deny", HTTP: { PathPrefix: "/admin" } },
    { Action: "allow", HTTP: { PathPrefix: "/" } }
  ])
)

const judge = (target: string, normalization: PathNormalization.RequestNormalization) =>
  RequestAdmission.judge(
    authorizer,
    Certificates.service("web"),
    { method: "GET", target, authority: undefined, rawHeaders: ["host", "api"] },
    normalization
  )

describe("RequestAdmission", () => {
  it.each(["admin", "http://api/admin", "*/admin", ""])("takes %j for no path, normalised or not", (target) => {
    assert.strictEqual(judge(target, {})._tag, "Malformed")
    assert.strictEqual(judge(target, { InsecureDisablePathNormalization: true })._tag, "Malformed")
  })

  it.each(["/%2fevil.example/x", "/%5cevil.example/x", "/a/..%2f%2fevil.example/x", "//evil.example%2fx"])(
    "redirects %s to no other host",
    (target) => {
      const judged = judge(target, { PathWithEscapedSlashesAction: "UNESCAPE_AND_REDIRECT" })
      if (judged._tag !== "Redirected") return assert.fail(judged._tag)
      const { headers } = RefusalAnswer.of(judged, undefined, true)
      assert.strictEqual(new URL(headers["location"]!, "http://api/").host, "api")
    }
  )
})
