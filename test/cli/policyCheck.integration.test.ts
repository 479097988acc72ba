import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { run } from "../support/policyCommand.ts"
import * as temporary from "../support/temporary.ts"

const shop = [
  { Kind: "service-defaults", Name: "orders", Protocol: "http" },
  { Kind: "service-defaults", Name: "payments", Protocol: "http" },
  {
    Kind: "service-intentions",
    Name: "orders",
    Sources: [
      {
        Name: "web",
        Permissions: [
          { Action: "deny", HTTP: { PathPrefix: "/orders/admin" } },
          { Action: "allow", HTTP: { PathPrefix: "/orders", Methods: ["GET", "POST"] } }
        ]
      },
      { Name: "*", Action: "deny" }
    ]
  },
  {
    Kind: "service-intentions",
    Name: "payments",
    JWT: { Providers: [{ Name: "okta", VerifyClaims: [{ Path: ["realm", "role"], Value: "clerk" }] }] },
    Sources: [{ Name: "web", Action: "allow" }]
  }
]

const fixture = Effect.map(temporary.folder, (folder) => {
  const write = (name: string, value: unknown) => {
    const path = join(folder, name)
    writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value))
    return path
  }
  const policy = write("shop.json", shop)
  return {
    write,
    check: (...args: ReadonlyArray<string>) => run("check", "--default-policy", "deny", "-f", policy, ...args)
  }
})

const jwt = (payload: object) =>
  ["{\"alg\":\"none\"}", JSON.stringify(payload), "signature"].map((part) => Buffer.from(part).toString("base64url"))
    .join(".")

describe("effect-mesh policy check", () => {
  it.live("refuses names that nobody knows, and asks for the one that was meant", () =>
    Effect.gen(function*() {
      const { check } = yield* fixture
      const source = yield* check("wbe", "orders")
      assert.strictEqual(source.code, 1)
      assert.include(source.err, "named wbe; did you mean web? If it exists, say so with --service wbe")
      const destination = yield* check("web", "oders")
      assert.strictEqual(destination.code, 1)
      assert.include(destination.err, "did you mean orders?")
      assert.strictEqual((yield* check("*", "orders")).code, 1)
      // A service that is called is one that may call, and so is one that is said to exist.
      assert.match((yield* check("payments", "orders")).out, /^denied by intention \* → orders/)
      assert.match((yield* check("--service", "wbe", "wbe", "orders")).out, /^denied by intention \* → orders/)
    }))

  it.live("says what is missing from this request, counts from 1, and opens nothing to others", () =>
    Effect.gen(function*() {
      const { check } = yield* fixture
      const admin = yield* check("web", "orders", "--method", "POST", "--path", "/orders/admin/x")
      assert.match(
        admin.out,
        /^denied by permission 1 of intention web → orders \(precedence 9\)\n {2}it would have needed: a path that does not start with \/orders\/admin \(permission 1 denies this one\)/
      )
      assert.notInclude(admin.out, "GET or POST")
      const other = yield* check("payments", "orders")
      assert.include(other.out, "it would have needed: an intention of its own, payments → orders, that allows it")
      const json = JSON.parse((yield* check("web", "orders", "--path", "/orders/admin", "--json")).out)
      assert.deepInclude(json, { allowed: false, because: "permission", permissionIndex: 0 })
    }))

  it.live("takes the claims of a token, of each kind, and tokens as they are sent", () =>
    Effect.gen(function*() {
      const { check, write } = yield* fixture
      const codes = yield* Effect.forEach([
        ["--claim", "okta:realm.role=clerk"],
        ["--claim", "okta:realm:={\"role\":\"clerk\"}"],
        ["--claim", "okta:realm.role:=[\"clerk\"]"],
        ["--claim", "okta:realm.role=guest"],
        ["--claim", "okta"],
        ["--token-payload", write("payload.json", { realm: { role: "clerk" } })],
        ["--token-payload", `okta=${write("token", jwt({ realm: { role: "clerk" }, exp: 1 }))}`],
        ["--method", "GET"]
      ], (args) => Effect.map(check("web", "payments", ...args), ({ code }) => code))
      assert.deepStrictEqual(codes, [0, 0, 2, 2, 2, 0, 0, 2])
      const clerk = yield* check("web", "payments", "--claim", "okta:realm.role=clerk")
      assert.include(
        clerk.out,
        "note: at a server that judges connections, as MeshSocketServer does, it is denied"
      )
      const expired = yield* check("web", "payments", "--token-payload", write("token", jwt({ exp: 1, sub: "secret" })))
      assert.include(expired.out, "taken as verified")
      assert.include(expired.out, "It has expired")
      assert.include(expired.out, "needed: realm.role \"clerk\" in its token of okta")
      assert.notInclude(expired.out, "secret")
    }))

  it.live("explains what is wrong with a claim or a token, without showing it", () =>
    Effect.gen(function*() {
      const { check, write } = yield* fixture
      const why = (...args: ReadonlyArray<string>) =>
        Effect.map(check("web", "payments", ...args), ({ code, err }) => `${code} ${err}`)
      assert.include(
        yield* why("--claim", "otka:a=b"),
        "1 no intention asks for a token of \"otka\"; did you mean okta?"
      )
      assert.include(yield* why("--claim", "okta:=b"), "is not understood: write provider:path=value")
      assert.include(yield* why("--claim", "okta:a:=[b"), "has no JSON behind :=")
      assert.include(yield* why("--claim", "okta:a=b", "--claim", "okta:a.c=d"), "contradicts another claim")
      const garbled = yield* why("--token-payload", write("token", "secret.secret.secret"))
      assert.include(garbled, "holds no token")
      assert.notInclude(garbled, "secret")
    }))

  it.live("says that a Bearer header is no token where one is asked for", () =>
    Effect.gen(function*() {
      const { check } = yield* fixture
      const bearer = ["--header", "Authorization: Bearer abc"]
      assert.include(
        (yield* check("web", "payments", ...bearer)).out,
        "note: the header authorization is compared as text"
      )
      assert.notInclude((yield* check("web", "orders", ...bearer)).out, "note:")
    }))

  it.live("shows other spellings of the path that are judged differently, under the normalisation in force", () =>
    Effect.gen(function*() {
      const { check, write } = yield* fixture
      const denied = (yield* check("web", "orders", "--path", "/orders/admin")).out
      for (const spelling of ["/orders//admin", "/orders/ADMIN"]) assert.include(denied, `note: ${spelling}, which`)
      assert.notInclude(denied, "%61")
      const allowed = yield* check("web", "orders", "--path", "/orders//admin")
      assert.strictEqual(allowed.code, 0)
      assert.include(
        allowed.out,
        "note: many servers take this path for /orders/admin (slashes), and that is denied by permission 1"
      )
      const raw = write("mesh.json", {
        Kind: "mesh",
        HTTP: { Incoming: { RequestNormalization: { InsecureDisablePathNormalization: true } } }
      })
      const open = (yield* check("-f", raw, "web", "orders", "--path", "/orders/admin")).out
      assert.include(open, "note: /orders/%61dmin, which")
      const merged = write("merged.json", {
        Kind: "mesh",
        HTTP: { Incoming: { RequestNormalization: { MergeSlashes: true } } }
      })
      assert.notInclude((yield* check("-f", merged, "web", "orders", "--path", "/orders/admin")).out, "//")
      assert.notInclude((yield* check("web", "orders", "--path", "/orders/1")).out, "note:")
    }))

  it.live("says of no caller that it is allowed where not all of its requests could be decided", () =>
    Effect.gen(function*() {
      const { write } = yield* fixture
      const permissions = [
        { Action: "deny", HTTP: { PathRegex: "/(a|b)*a(a|b){18}" } },
        { Action: "allow", HTTP: { PathPrefix: "/" } }
      ]
      const policy = write("large.json", {
        Kind: "service-intentions",
        Name: "api",
        Sources: [{ Name: "web", Permissions: permissions }]
      })
      const { code, err, out } = yield* run("check", "--default-policy", "deny", "-f", policy, "web", "api")
      assert.strictEqual(code, 1)
      assert.include(out + err, "could not be decided for all requests")
    }))

  it.live("takes a service for http that demands a token, where nothing says what it speaks", () =>
    Effect.gen(function*() {
      const { write } = yield* fixture
      const policy = write("token.json", {
        Kind: "service-intentions",
        Name: "api",
        JWT: { Providers: [{ Name: "okta" }] },
        Sources: [{ Name: "web", Action: "deny" }]
      })
      const statements = write("never.json", { assertions: [{ never: { from: "web", to: "api" } }] })
      const { code } = yield* run("verify", "--default-policy", "allow", "-f", policy, statements)
      assert.strictEqual(code, 2)
    }))
})
