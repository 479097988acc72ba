import { assert, describe, it } from "@effect/vitest"
import * as Authorizer from "../../src/intention/Authorizer.ts"
import * as HttpRequest from "../../src/intention/HttpRequest.ts"
import * as Intention from "../../src/intention/Intention.ts"
import { local, trustDomain } from "../support/intentions.ts"

const { make } = Intention

const compile = (
  intentions: ReadonlyArray<Intention.Intention>,
  defaultPolicy: Authorizer.DefaultPolicy = "deny"
) => Authorizer.compile({ destination: { service: "api", protocol: "http" }, trustDomain, intentions, defaultPolicy })

const allow = (HTTP: Intention.HttpPermission, rest?: Partial<Intention.Permission>) =>
  make("web", "api", [{ Action: "allow", HTTP, ...rest }])

describe("Authorizer", () => {
  it("ignores intentions for services of other partitions", () => {
    const elsewhere = make("web", "api", "allow", { DestinationPartition: "west" })
    assert.strictEqual(compile([elsewhere]).connection(local("web")).because, "no-intention")
  })

  it("prefers a wider source of a more exact destination, across namespaces too", () => {
    const { connection } = compile([
      make("*", "api", "deny", { SourceNS: "*" }),
      make("web", "*", "allow"),
      make("*", "*", "allow", { SourceNS: "*", DestinationNS: "*" })
    ])
    assert.strictEqual(connection(local("web")).by?.precedence, 7)
  })

  it("takes :authority for the Host of a request of HTTP/1", () => {
    const { request } = compile([allow({ Header: [{ Name: ":authority", Exact: "api:80" }] })])
    assert.isTrue(request(local("web"), HttpRequest.fromRaw("GET", "/", ["Host", "api:80"])).allowed)
    assert.isFalse(request(local("web"), HttpRequest.fromRaw("GET", "/", ["Host", "api"])).allowed)
  })

  it("folds no byte that is not an ASCII letter", () => {
    const { request } = compile([allow({ Header: [{ Name: "x", Exact: "é", IgnoreCase: true }] })])
    assert.isTrue(request(local("web"), HttpRequest.fromRaw("GET", "/", ["x", "\xc3\xa9"])).allowed)
    assert.isFalse(request(local("web"), HttpRequest.fromRaw("GET", "/", ["x", "\xe3\xa9"])).allowed)
  })

  it("asks no token for what the default policy would say anyway", () => {
    const token = { JWT: { Providers: [{ Name: "okta" }] } }
    const { request } = compile([allow({ PathPrefix: "/" }, token)], "allow")
    assert.strictEqual(request(local("web"), HttpRequest.make("GET", "/")).because, "permission")
  })
})
