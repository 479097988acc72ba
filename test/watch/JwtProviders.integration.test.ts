import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Redacted, Result, Schedule, Scope, SubscriptionRef } from "effect"
import * as BlockingQuery from "../../src/consul/BlockingQuery.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Settings from "../../src/consul/Settings.ts"
import * as Authorizer from "../../src/intention/Authorizer.ts"
import * as Intention from "../../src/intention/Intention.ts"
import * as Intentions from "../../src/watch/Intentions.ts"
import * as JwtProviders from "../../src/watch/JwtProviders.ts"
import { badAgent, json } from "../support/agents.ts"
import * as Certificates from "../support/certificates.ts"
import { eventually } from "../support/sockets.ts"
import * as Tokens from "../support/tokens.ts"

/** Intentions that name these providers: one for the whole of them, the others in permissions. */
const naming = (first?: string, ...others: ReadonlyArray<string>) => (protocol: string): Authorizer.Authorizer =>
  Authorizer.compile({
    destination: { service: "api", protocol },
    trustDomain: Certificates.trustDomain,
    intentions: first === undefined ? [] : [
      Intention.make(
        "web",
        "api",
        others.map((Name) => ({
          Action: "allow",
          HTTP: { PathPrefix: `/${Name}` },
          JWT: { Providers: [{ Name }] }
        })),
        { JWT: { Providers: [{ Name: first }] } }
      )
    ],
    defaultPolicy: "deny"
  })

const policy = {
  wait: "1 minute",
  grace: "100 millis",
  backoff: Schedule.spaced("10 millis"),
  burst: 100,
  interval: "1 millis"
} as const

/** An agent that answers once with these entries, and holds what is asked after that. */
const start = Effect.fnUntraced(function*(...entries: ReadonlyArray<object>) {
  let published = entries
  let index = 1
  let away = false
  const held = new Set<() => void>()
  const agent = yield* badAgent((request, response) => {
    const answer = () => away ? void response.destroy() : json(response, published, index)
    if (away || !request.url!.includes(`index=${index}`)) return answer()
    held.add(answer)
    response.on("close", () => held.delete(answer))
  })
  const change = (...entries: ReadonlyArray<object>) =>
    Effect.sync(() => {
      published = entries
      index++
      held.forEach((answer) => answer())
    })
  const consul = yield* ConsulClient.make({ ...Settings.defaults, address: agent.address, token: Redacted.make("x") })
    .pipe(Effect.provideService(BlockingQuery.Policy, policy))
  const intentions = yield* SubscriptionRef.make(naming()("http"))
  const watch = Effect.map(
    Layer.build(Layer.fresh(
      JwtProviders.layer.pipe(
        Layer.provide([Layer.succeed(ConsulClient.ConsulClient, consul), Intentions.layerFrom(intentions)])
      )
    )),
    (context) => Context.get(context, JwtProviders.JwtProviders)
  )
  const leave = Effect.sync(() => {
    away = true
    held.forEach((answer) => answer())
  })
  return {
    agent,
    change,
    leave,
    held: () => held.size,
    watch,
    name: (...[first, ...others]: Parameters<typeof naming>) =>
      SubscriptionRef.set(intentions, naming(first, ...others)("http"))
  }
})

const entry = (Name: string, Issuer = Tokens.issuer) => ({
  ...Tokens.entry([{}], { Name, Issuer }),
  Hash: 1,
  CreateIndex: 1
})

const issuersOf = (providers: JwtProviders.Providers | undefined) =>
  [...providers ?? []].map((
    [name, provider]
  ) => [name, Result.isSuccess(provider) ? provider.success.issuer : "flawed"])

describe("JwtProviders", () => {
  it("are those that intentions and their permissions name, where requests are judged", () => {
    const intentions = naming("okta", "auth0", "okta")
    assert.deepStrictEqual(JwtProviders.named(intentions("http")), ["auth0", "okta"])
    assert.deepStrictEqual(JwtProviders.named(intentions("tcp")), [])
  })

  it.live("are watched once, for as long as an intention names one, and hold those that are named", () =>
    Effect.gen(function*() {
      const { agent, change, held, name, watch } = yield* start(entry("okta"), entry("auth0"), entry("other"))
      const [one, other] = [yield* Scope.make(), yield* Scope.make()]
      const providers = yield* Scope.provide(watch, one)
      const same = yield* Scope.provide(watch, other)
      assert.deepStrictEqual(issuersOf(yield* providers.get), [])
      assert.deepStrictEqual(agent.requests, [])
      yield* name("okta", "auth0", "okta", "missing")
      yield* eventually(() => providers.latest()?.size === 2 && same.latest()?.size === 2 && held() === 1)
      assert.deepStrictEqual(issuersOf(providers.latest()), [["auth0", Tokens.issuer], ["okta", Tokens.issuer]])
      yield* change(entry("okta", "https://new.example"), { ...entry("auth0"), JSONWebKeySet: null })
      yield* eventually(() => issuersOf(providers.latest())[1]?.[1] === "https://new.example")
      assert.deepStrictEqual(issuersOf(providers.latest())[0], ["auth0", "flawed"])
      assert.strictEqual(new Set(agent.requests.map((request) => request.split("?")[0])).size, 1)
      yield* name()
      yield* eventually(() => providers.latest()?.size === 0 && held() === 0)
      yield* name("okta")
      yield* eventually(() => providers.latest()?.size === 1)
      yield* Scope.close(one, Exit.void)
      yield* eventually(() => held() === 1)
      yield* Scope.close(other, Exit.void)
      yield* eventually(() => held() === 0)
    }))

  it.live("stay as they were while the agent is away, and say so", () =>
    Effect.gen(function*() {
      const { leave, name, watch } = yield* start(entry("okta"))
      const providers = yield* watch
      yield* name("okta")
      yield* eventually(() => providers.latest()?.size === 1)
      yield* leave
      yield* eventually(() => providers.freshness().failures > 1)
      assert.deepStrictEqual(issuersOf(providers.latest()), [["okta", Tokens.issuer]])
    }).pipe(Effect.provideService(BlockingQuery.Policy, policy)))
})
