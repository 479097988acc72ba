import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as Authorizer from "../../../src/intention/Authorizer.ts"
import type * as HttpRequest from "../../../src/intention/HttpRequest.ts"
import * as Intention from "../../../src/intention/Intention.ts"
import type { Message } from "../../../src/xds/proto/Messages.ts"
import type * as Fields from "../../../src/xds/read/Fields.ts"
import * as Rbac from "../../../src/xds/read/Rbac.ts"
import * as Writer from "../../../src/xds/translate/Rbac.ts"
import { defaultPolicy, local, trustDomain } from "../../support/intentions.ts"
import { requests, rules, toHttpRequest, tokens } from "../../support/requests.ts"

const destination = { service: "api", namespace: "default", partition: "default" }

const issuers = new Map(["okta", "auth0"].map((name) => [name, {
  Kind: "jwt-provider",
  Name: name,
  Issuer: `https://${name}`
}]))
const known = new Map([...issuers].map(([name, { Issuer }]) => [`jwt_payload_${name}`, { name, issuer: Issuer }]))

const configOf = ({ typed_config }: { readonly typed_config?: Message<"Any"> | undefined }): Fields.Json =>
  JSON.parse(JSON.stringify(typed_config))

const others = Arbitrary.schema(Schema.Array(Schema.Struct({
  source: Schema.Literals(["db", "web", "*"]),
  destination: Schema.Literals(["api", "*"]),
  action: Schema.Literals(["allow", "deny"])
})))

describe("Rbac", () => {
  it.each(["allow", "deny"] as const)("lets nobody in by an intention that another one outranks: %s", (outranked) => {
    const decides = outranked === "allow" ? "deny" : "allow"
    const intentions = [Intention.make("web", "*", outranked), Intention.make("*", "api", decides)]
    const filter = configOf(
      Writer.network({ trustDomain, intentions, defaultPolicy: decides, issuers: new Map(), peers: new Map() })
    )
    assert.notProperty(filter["rules"], "policies")
  })

  it.prop(
    "brings back what the development agent tells Envoys",
    { rule: rules, others, request: requests, tokens, defaultPolicy },
    ({ defaultPolicy, others, request, rule, tokens }) => {
      // Where everybody is allowed nobody is asked for a token.
      const kept = defaultPolicy === "deny" ? rule : withoutTokens(rule)
      const unique = new Map(
        others.map(({ action, destination, source }) => [
          `${source} ${destination}`,
          Intention.make(source, destination, action)
        ])
      )
      const intentions = [...unique.set("web api", kept).values()]
      const filter = configOf(
        Writer.http({ trustDomain, intentions, defaultPolicy, issuers: issuers as never, peers: new Map() })
      )
      const read = Rbac.read(filter, { trustDomain, destination, tokens: known })
      const compile = (options: Pick<Authorizer.Options, "intentions" | "defaultPolicy">) =>
        Authorizer.compile({ destination: { ...destination, protocol: "http" }, trustDomain, ...options })
      const [meant, got] = [compile({ intentions, defaultPolicy }), compile(read)]
      const http: HttpRequest.HttpRequest = toHttpRequest(request)
      const claims = (provider: string) =>
        tokens.includes(provider as never) ? { iss: `https://${provider}` } : undefined
      for (const name of ["web", "db", "other"]) {
        const verdicts = [meant, got].map((each) => each.request(local(name), http, claims).allowed)
        if (read.flaws.length === 0) assert.strictEqual(verdicts[1], verdicts[0], name)
        else assert.isTrue(verdicts[0] || !verdicts[1], name)
      }
    }
  )
})

const withoutTokens = (intention: Intention.Intention): Intention.Intention =>
  JSON.parse(JSON.stringify(intention, (key, value: unknown) => key === "JWT" ? undefined : value))
