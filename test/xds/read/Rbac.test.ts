import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as SpiffeId from "../../../src/identity/SpiffeId.ts"
import * as Authorizer from "../../../src/intention/Authorizer.ts"
import * as HttpRequest from "../../../src/intention/HttpRequest.ts"
import * as Rbac from "../../../src/xds/read/Rbac.ts"
import { filters, lets, trustDomain } from "../../support/rbac.ts"

const destination = { service: "billing", namespace: "default", partition: "default" }
const options = {
  trustDomain,
  destination,
  tokens: new Map([["jwt_payload_idp", { name: "idp", issuer: "https://i" }]])
}

const authorizer = ({ defaultPolicy, intentions, peers }: Rbac.Policy) =>
  Authorizer.compile({
    destination: { ...destination, protocol: "http" },
    trustDomain,
    intentions,
    defaultPolicy,
    peers
  })

const caller = (service: string) => SpiffeId.service({ trustDomain, datacenter: "dc1", service })
const request = (method: string, path: string, headers: ReadonlyArray<string> = []) =>
  HttpRequest.fromRaw(method, path, headers)

const requests = ["/", "/a", "/a/b", "/ab"].flatMap((path) =>
  ["GET", "POST"].flatMap((method) => [request(method, path), request(method, path, ["x-a", "1"])])
)

const id = (name: string) => ({
  authenticated: {
    principal_name: { safe_regex: { regex: `^spiffe://${trustDomain}/ns/default/dc/[^/]+/svc/${name}$` } }
  }
})
const without = (...nots: ReadonlyArray<string>) => ({
  and_ids: { ids: [id("[^/]+"), ...nots.map((not) => ({ not_id: id(not) }))] }
})
const prefix = (path: string) => ({ url_path: { path: { prefix: path } } })

const policies = (action: "ALLOW" | "DENY", ...list: ReadonlyArray<Schema.JsonObject>) => ({
  "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
  rules: {
    ...(action === "DENY" ? { action } : {}),
    policies: Object.fromEntries(list.map((policy, i) => [`policy-${i}`, policy]))
  }
})

const allowed = (policy: Rbac.Policy, service: string, method: string, path: string): boolean =>
  authorizer(policy).request(caller(service), request(method, path)).allowed

describe("Rbac", () => {
  it.prop("decides as Envoy does, and never allows what that denies", { filter: filters }, ({ filter }) => {
    const policy = Rbac.read(filter, options)
    const ours = authorizer(policy)
    for (const service of ["web", "api", "other"]) {
      for (const each of requests) {
        const theirs = lets(filter, caller(service), each)
        const { allowed } = ours.request(caller(service), each)
        if (policy.flaws.length === 0) assert.strictEqual(allowed, theirs)
        else assert.isTrue(theirs || !allowed)
      }
    }
  })

  it("takes an exclusion for the intention that it was made of", () => {
    const policy = Rbac.read(
      policies("ALLOW", { permissions: [{ any: true }], principals: [without("web")] }),
      options
    )
    assert.deepStrictEqual(
      policy.intentions.map(({ Action, SourceName }) => [SourceName, Action]),
      [["*", "allow"], ["web", "deny"]]
    )
    assert.deepStrictEqual(policy.flaws, [])
  })

  it("brings permissions back into their order", () => {
    const policy = Rbac.read(
      policies("ALLOW", {
        permissions: [{
          and_rules: { rules: [prefix("/user"), { not_rule: prefix("/secret") }, { not_rule: prefix("/admin") }] }
        }, {
          and_rules: {
            rules: [prefix("/open"), { not_rule: prefix("/user") }, { not_rule: prefix("/secret") }, {
              not_rule: prefix("/admin")
            }]
          }
        }],
        principals: [id("web")]
      }),
      options
    )
    assert.deepStrictEqual(
      policy.intentions[0]?.Permissions?.map(({ Action, HTTP }) => [Action, HTTP?.PathPrefix]),
      [["deny", "/admin"], ["deny", "/secret"], ["allow", "/user"], ["allow", "/open"]]
    )
  })

  it("asks for the tokens that values of metadata ask for", () => {
    const metadata = (key: string, exact: string) => ({
      metadata: {
        filter: "envoy.filters.http.jwt_authn",
        path: [{ key: "jwt_payload_idp" }, { key }],
        value: { string_match: { exact } }
      }
    })
    const policy = Rbac.read(
      policies("ALLOW", {
        permissions: [{
          and_rules: {
            rules: [prefix("/"), { and_rules: { rules: [metadata("iss", "https://i"), metadata("role", "x")] } }]
          }
        }],
        principals: [id("web")]
      }),
      options
    )
    assert.deepStrictEqual(policy.flaws, [])
    const judge = (claims: object | undefined) =>
      authorizer(policy).request(caller("web"), request("GET", "/"), () => claims as never).allowed
    assert.deepStrictEqual([judge({ role: "x" }), judge({ role: "y" }), judge(undefined)], [true, false, false])
  })

  it.each([
    ["no rules", {}],
    ["shadow rules", { ...policies("ALLOW"), shadow_rules: {} }],
    ["an action that only logs", { rules: { action: "LOG" } }],
    ["a field of the rules", { rules: { matcher: {} } }],
    [
      "a denying policy about addresses",
      policies("DENY", { permissions: [{ any: true }], principals: [{ source_ip: {} }] })
    ],
    [
      "a denying policy about a port",
      policies("DENY", { permissions: [{ destination_port: 1 }], principals: [id("web")] })
    ]
  ])("lets nobody in by %s, and says so", (_, filter) => {
    const policy = Rbac.read(filter, options)
    assert.isFalse(allowed(policy, "web", "GET", "/"))
    assert.isFalse(allowed(policy, "api", "GET", "/"))
    assert.isAbove(policy.flaws.length, 0)
  })

  it.each([
    ["any caller", { any: true }],
    ["one datacenter", {
      authenticated: { principal_name: { exact: `spiffe://${trustDomain}/ns/default/dc/dc1/svc/web` } }
    }],
    ["an expression of another form", {
      authenticated: { principal_name: { safe_regex: { regex: "^spiffe://.*$" } } }
    }],
    ["anybody with a certificate", { authenticated: {} }]
  ])("allows nobody by a policy about %s, and keeps the others", (_, principal) => {
    const policy = Rbac.read(
      policies(
        "ALLOW",
        { permissions: [{ any: true }], principals: [principal] },
        { permissions: [{ any: true }], principals: [id("api")] }
      ),
      options
    )
    assert.isFalse(allowed(policy, "web", "GET", "/"))
    assert.isTrue(allowed(policy, "api", "GET", "/"))
    assert.match(policy.flaws.join(), /policy-0/)
  })

  it("knows callers of peers by what gateways of this mesh say", () => {
    const other = "99999999-2222-3333-4444-555555555555.consul"
    const regex = `^[^,]+;URI=spiffe://${other}/ns/default/dc/[^/]+/svc/web(?:,.*)?$`
    const gateway = `^spiffe://${trustDomain}/gateway/mesh/dc/[^/]+$`
    const policy = Rbac.read(
      policies("ALLOW", {
        permissions: [{ any: true }],
        principals: [{
          and_ids: {
            ids: [
              { authenticated: { principal_name: { safe_regex: { regex: gateway } } } },
              { header: { name: "x-forwarded-client-cert", string_match: { safe_regex: { regex } } } }
            ]
          }
        }]
      }),
      options
    )
    const by = (uri: string) =>
      authorizer(policy).request(
        { _tag: "MeshGateway", trustDomain, partition: "default", datacenter: "dc1" },
        request("GET", "/", ["x-forwarded-client-cert", `By=x;URI=${uri}`])
      ).allowed
    assert.deepStrictEqual(policy.flaws, [])
    assert.isTrue(by(`spiffe://${other}/ns/default/dc/dc1/svc/web`))
    assert.isFalse(by(`spiffe://${other}/ns/default/dc/dc1/svc/api`))
    assert.isFalse(allowed(policy, "web", "GET", "/"))
  })
})
