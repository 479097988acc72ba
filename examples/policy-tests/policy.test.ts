/**
 * Tests of a policy, as they would stand beside it: `npx vitest run --config examples/policy-tests/vitest.config.ts`. The statements of
 * `assertions.json` are proved by
 * `npm run mesh -- policy verify --default-policy deny -f examples/policy-tests/policy examples/policy-tests/assertions.json`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Policy } from "../../src/testing/index.ts"
import { fileURLToPath } from "node:url"

const policy = Policy.read(fileURLToPath(new URL("policy", import.meta.url)), { defaultPolicy: "deny" })

describe("our policy", () => {
  it.prop("only payments writes to the ledger", ...Policy.only(policy, { from: "payments", to: "ledger" }))

  it.prop(
    "nobody but checkout and the back office reaches payments",
    ...Policy.never(policy, { from: "*", except: ["checkout", "back-office"], to: "payments" })
  )

  it.prop("nobody deletes", ...Policy.never(policy, { to: "payments", when: ({ method }) => method === "DELETE" }))

  it.prop(
    "checkout can always pay",
    ...Policy.always(policy, {
      from: "checkout",
      to: "payments",
      when: ({ method, path }) => method === "POST" && path === "/v1/payments"
    })
  )

  it.effect.prop(
    "whoever is let in at payments is let in by an intention, never by the default",
    ...Policy.effect(
      Policy.law(
        policy,
        { to: "payments" },
        (decision) => decision.allowed && decision.by === undefined ? "is allowed by no intention" : undefined
      )
    )
  )

  it("refuses to say anything about services that do not exist", () => {
    assert.throws(() => Policy.never(policy, { from: "chekout", to: "payments" }), /no caller is named chekout/)
  })
})
