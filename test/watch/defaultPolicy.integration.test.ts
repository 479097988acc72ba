import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schedule, SubscriptionRef } from "effect"
import type { ServerResponse } from "node:http"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Settings from "../../src/consul/Settings.ts"
import * as Audit from "../../src/intention/Audit.ts"
import * as CaRoots from "../../src/watch/CaRoots.ts"
import * as Intentions from "../../src/watch/Intentions.ts"
import { badAgent } from "../support/agents.ts"
import * as Certificates from "../support/certificates.ts"

type Policy = "allow" | "deny" | undefined

/** What the agent says: on every answer, and about itself (`403`: the token may not ask). */
const agentWith = (header: Policy, self: Policy | 403, filtered = false) => (url: string, response: ServerResponse) => {
  if (header !== undefined) response.setHeader("X-Consul-Default-ACL-Policy", header)
  if (url.startsWith("/v1/agent/self")) {
    if (self === 403) return response.writeHead(403).end("Permission denied")
    response.setHeader("Content-Type", "application/json")
    return response.end(JSON.stringify({ Config: {}, DebugConfig: { DefaultIntentionPolicy: self ?? "" } }))
  }
  response.setHeader("Content-Type", "application/json")
  response.setHeader("X-Consul-Index", "7")
  if (filtered) response.setHeader("X-Consul-Results-Filtered-By-ACLs", "true")
  return response.end(JSON.stringify({ api: null }))
}

/** The default policy that the Authorizer of `api` ends up with. */
const learned = (header: Policy, self: Policy | 403, options: Partial<Intentions.Options> = {}) =>
  Effect.flatMap(watched(agentWith(header, self), options), (intentions) => intentions.get)

const watched = (answer: ReturnType<typeof agentWith>, options: Partial<Intentions.Options> = {}) =>
  Effect.gen(function*() {
    const agent = yield* badAgent((request, response) => answer(request.url!, response))
    const consul = yield* ConsulClient.make({ ...Settings.defaults, address: agent.address })
    const bundle = Certificates.bundle(yield* Effect.promise(() => Certificates.root("mesh")))
    const context = yield* Layer.build(
      Intentions.layer({ destination: "api", protocol: "tcp", ...options }).pipe(
        Layer.provide(CaRoots.layerFrom(yield* SubscriptionRef.make(bundle))),
        Layer.provide(Layer.succeed(ConsulClient.ConsulClient, consul))
      )
    )
    return Context.get(context, Intentions.Intentions)
  })

describe("the intentions", () => {
  it.live("are not taken from an answer from which ACLs have left something out", () =>
    Effect.gen(function*() {
      const intentions = yield* watched(agentWith("deny", "deny", true))
      const error = yield* Effect.sync(() => intentions.freshness().lastError).pipe(
        Effect.repeat({ until: (error) => error !== undefined, schedule: Schedule.spaced("5 millis") })
      )
      assert.match(error ?? "", /left out what the token may not read. Give it intentions:read/)
      assert.isUndefined(intentions.latest())
    }))
})

/** Answers about the agent itself in turn, the last one for ever; the question after one that was answered fails. */
const agentInTurn = (...selves: ReadonlyArray<"allow" | "no right" | "no token">) => {
  let asked = 0
  let questions = 0
  let since = 0
  const answer = (url: string, response: ServerResponse) => {
    if (!url.startsWith("/v1/agent/self")) {
      questions++
      if (asked >= selves.length) since++
      if (questions === 2 && selves[0] === "allow") return response.writeHead(500).end("No cluster leader")
      // The others are held.
      return questions > 5 ? response : agentWith("allow", "allow")(url, response)
    }
    const self = selves[Math.min(asked++, selves.length - 1)]!
    return self === "allow"
      ? agentWith("allow", "allow")(url, response)
      : response.writeHead(403).end(self === "no token" ? "ACL not found" : "Permission denied")
  }
  /** Questions since the last of the answers was given. */
  return { answer, since: () => since }
}

const until = (condition: () => boolean) =>
  Effect.repeat(Effect.sync(condition), { until: (holds) => holds, schedule: Schedule.spaced("5 millis") })

describe("the default policy", () => {
  it.live("is asked for again where the agent does not know the token yet", () =>
    Effect.gen(function*() {
      const intentions = yield* watched(agentInTurn("no token", "allow").answer)
      yield* until(() => intentions.latest()?.defaultPolicy === "allow")
    }))

  it.live("stays what the agent said last where the token loses the right to ask", () =>
    Effect.gen(function*() {
      const agent = agentInTurn("allow", "no right")
      const intentions = yield* watched(agent.answer)
      yield* until(() => agent.since() > 0)
      assert.strictEqual(intentions.latest()?.defaultPolicy, "allow")
    }))

  it.live.each(
    [
      ["trap 13: is the agent's for intentions, which the header does not show", "allow", "deny", "deny"],
      ["is the agent's for intentions, though its ACLs deny", "deny", "allow", "allow"],
      ["is that of the ACLs where the agent has none for intentions", "allow", undefined, "allow"],
      [
        "is to deny where the token may not ask, whatever the ACLs say: another setting wins over them",
        "allow",
        403,
        "deny"
      ],
      ["is to deny where nobody says", undefined, 403, "deny"]
    ] as const
  )("%s", ([, header, self, expected]) =>
    Effect.gen(function*() {
      assert.strictEqual((yield* learned(header, self)).defaultPolicy, expected)
    }))

  it.live("is what the operator says, before what the agent says", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* learned("allow", "allow", { defaultPolicy: "deny" })).defaultPolicy, "deny")
    }))

  it.live("is only recorded where it is audited", () =>
    Effect.gen(function*() {
      const authorizer = yield* learned("deny", "deny", { audit: Audit.destinations(["api"]) })
      const { allowed, audited } = authorizer.connection(Certificates.service("web"))
      assert.deepStrictEqual([allowed, audited], [true, true])
    }))
})
