import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Authorizer from "../../src/intention/Authorizer.ts"
import * as Decision from "../../src/intention/Decision.ts"
import * as agent from "../support/consul.ts"

// A small alphabet, so that generated intentions overlap instead of missing each other.
const Name = Schema.Literals(["web", "api", "db"])
const Pattern = Schema.Literals(["*", ...Name.literals])
const intentions = Schema.Array(
  Schema.Struct({ source: Pattern, destination: Pattern, action: Schema.Literals(["allow", "deny"]) })
).pipe(Schema.check(Schema.isMaxLength(6)))

layer(agent.layer, { timeout: 60_000, excludeTestServices: true })("the Authorizer and the agent", (it) => {
  it.effect.prop(
    "answer authorize and check the same",
    { intentions },
    ({ intentions }) =>
      Effect.gen(function*() {
        const consul = yield* ConsulClient.ConsulClient
        const run = agent.fresh("p")
        const named = (name: string) => name === "*" ? "*" : `${run}-${name}`
        const unique = [...new Map(intentions.map((i) => [`${i.source}>${i.destination}`, i])).values()]
        for (const destination of new Set(unique.map((i) => i.destination))) {
          yield* agent.entry({
            Kind: "service-intentions",
            Name: named(destination),
            Sources: unique.filter((i) => i.destination === destination)
              .map((i) => ({ Name: named(i.source), Action: i.action }))
          })
        }
        const { body: roots } = yield* consul.call("roots", (api) => api.agent.caRoots({ query: {} }))
        for (const destination of Name.literals.map(named)) {
          const { body: match, headers } = yield* consul.call("match", (api) =>
            api.connect.matchIntentions({ query: { by: "destination", name: [destination] } }))
          const compile = (defaultPolicy: "allow" | "deny") =>
            Authorizer.compile({
              destination: { service: destination },
              trustDomain: roots.TrustDomain,
              intentions: match[destination] ?? [],
              defaultPolicy
            })
          // The agents of these tests are made to deny what no intention allows.
          const authorizer = compile("deny")
          // The servers, which answer check, know the ACL default only (`default_intention_policy` is an agent's).
          const servers = compile(headers["x-consul-default-acl-policy"] ?? "deny")
          for (const source of Name.literals.map(named)) {
            const id = SpiffeId.service({ trustDomain: roots.TrustDomain, datacenter: "dc1", service: source })
            const decision = authorizer.connection(id)
            const { body: authorized } = yield* consul.call("authorize", (api) =>
              api.agent.authorize({
                query: {},
                payload: { Target: destination, ClientCertURI: SpiffeId.format(id) }
              }))
            const { body: checked } = yield* consul.call("check", (api) =>
              api.connect.checkIntention({ query: { source, destination } }))
            const why = `${source} → ${destination}: ${Decision.explain(decision)}; the agent: ${authorized.Reason}`
            assert.strictEqual(authorized.Authorized, decision.allowed, why)
            assert.strictEqual(checked.Allowed, servers.connection(id).allowed, why)
          }
        }
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 25 } }
  )
})
