import { assert, describe, it } from "@effect/vitest"
import * as Audit from "../../src/intention/Audit.ts"
import * as Authorizer from "../../src/intention/Authorizer.ts"
import * as Decision from "../../src/intention/Decision.ts"
import * as HttpRequest from "../../src/intention/HttpRequest.ts"
import * as Intention from "../../src/intention/Intention.ts"
import { callers, defaultPolicy, intentions, local, trustDomain } from "../support/intentions.ts"

const compile = (list: ReadonlyArray<Intention.Intention>, defaultPolicy: Authorizer.DefaultPolicy = "deny") =>
  Authorizer.compile({
    destination: { service: "api", protocol: "http" },
    trustDomain,
    intentions: list,
    defaultPolicy
  })

describe("Audit", () => {
  it.prop(
    "lets everybody through, and keeps what would have been decided",
    { intentions, source: callers, defaultPolicy },
    ({ defaultPolicy, intentions, source }) => {
      const strict = compile(intentions, defaultPolicy)
      const audited = Audit.authorizer(Audit.everywhere, strict)
      for (
        const [would, is] of [
          [strict.connection(source), audited.connection(source)],
          [strict.request(source, HttpRequest.make("GET", "/")), audited.request(source, HttpRequest.make("GET", "/"))]
        ] as const
      ) {
        assert.isTrue(is.allowed)
        assert.strictEqual(is.audited === true, !would.allowed)
        assert.deepStrictEqual({ ...is, allowed: would.allowed, audited: undefined }, { ...would, audited: undefined })
      }
    }
  )

  it("is off unless it is turned on, and then at the destinations that are named only", () => {
    const authorizer = compile([])
    assert.strictEqual(Audit.authorizer(Audit.nowhere, authorizer), authorizer)
    assert.strictEqual(Audit.authorizer(Audit.destinations([]), authorizer), authorizer)
    assert.strictEqual(Audit.authorizer(Audit.destinations(["web"]), authorizer), authorizer)
    assert.isTrue(Audit.authorizer(Audit.destinations(["API"]), authorizer).connection(local("web")).allowed)
  })

  it("says loudly what it did", () => {
    const authorizer = Audit.authorizer(Audit.everywhere, compile([Intention.make("*", "api", "deny")]))
    const decision = authorizer.connection(local("web"))
    assert.strictEqual(
      Decision.explain(decision),
      "let through by audit mode, would be denied by intention * → api (precedence 8)"
    )
    assert.isTrue(Decision.toJson(decision).audited)
    assert.strictEqual(authorizer.connection(local("db")), decision, "decisions are not made anew")
    assert.match(Audit.warning("api"), /nothing is enforced at api/)
  })
})
