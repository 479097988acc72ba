import { assert, describe, it } from "@effect/vitest"
import * as ConnectionPolicy from "../../../src/inbound/http/ConnectionPolicy.ts"
import * as Decision from "../../../src/intention/Decision.ts"
import * as Intention from "../../../src/intention/Intention.ts"
import * as Watched from "../../../src/watch/Watched.ts"
import * as Certificates from "../../support/certificates.ts"
import * as Mesh from "../../support/mesh.ts"

const web = Certificates.service("web")
const permissions: ReadonlyArray<Intention.Permission> = [{ Action: "allow", HTTP: { PathPrefix: "/" } }]

const decision = (authorizer: ReturnType<typeof Mesh.policy>) =>
  ConnectionPolicy.intentions(Watched.constant("the intentions", authorizer)).latest()!.connection(web)

const connects = (authorizer: ReturnType<typeof Mesh.policy>) => decision(authorizer).allowed

describe("a connection whose requests are judged", () => {
  it("is let in, whatever the intentions say of its caller", () => {
    assert.isTrue(connects(Mesh.requestPolicy("api")))
    assert.isTrue(connects(Mesh.requestPolicy("api", Intention.make("web", "api", "deny"))))
    assert.strictEqual(
      Decision.explain(decision(Mesh.requestPolicy("api"))),
      "allowed: each request is judged by itself"
    )
  })

  it("is judged by itself where the service speaks no HTTP", () => {
    assert.isFalse(connects(Mesh.policy("api", {})))
    assert.isTrue(connects(Mesh.policy("api", { web: "allow" })))
  })

  it.each([
    ["some request might be allowed", Mesh.requestPolicy("api", Intention.make("web", "api", permissions)), true],
    ["every request is allowed", Mesh.requestPolicy("api", Intention.make("web", "api", "allow")), true],
    ["no request could be allowed", Mesh.requestPolicy("api", Intention.make("web", "api", "deny")), false],
    ["no intention is about its caller", Mesh.requestPolicy("api"), false],
    ["the service speaks no HTTP, and denies it", Mesh.policy("api", { web: "deny" }), false],
    ["the service speaks no HTTP, and allows it", Mesh.policy("api", { web: "allow" }), true]
  ])(
    "may stay or not where %s",
    (_, authorizer, expected) =>
      assert.strictEqual(ConnectionPolicy.mayStay(authorizer, { caller: web }).allowed, expected)
  )
})
