import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Result, Schedule } from "effect"
import { TestConsole } from "effect/testing"
import * as BlockingQuery from "../../src/consul/BlockingQuery.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as Settings from "../../src/consul/Settings.ts"
import * as MeshDefaults from "../../src/watch/MeshDefaults.ts"
import { badAgent, json } from "../support/agents.ts"
import * as Parity from "../support/parity.ts"
import { eventually } from "../support/sockets.ts"

const read = (entry: object): MeshDefaults.Defaults =>
  Result.getOrThrow(MeshDefaults.fromEntry({ Kind: "mesh", ...entry }))

/** The mesh entry of a recorded scenario. */
const recorded = (area: string, name: string): MeshDefaults.Defaults => {
  const entry = Parity.scenarios(area).find((scenario) => scenario.name === name)?.config?.find(({ Kind }) =>
    Kind === "mesh"
  )
  assert.isDefined(entry, `${area} has no mesh entry in ${name}`)
  return read(entry)
}

describe("MeshDefaults", () => {
  it("are those of Consul where the entry says nothing", () => {
    assert.deepStrictEqual(read({}), MeshDefaults.defaults)
    assert.deepStrictEqual(read({ TLS: null, HTTP: { SanitizeXForwardedClientCert: false } }), MeshDefaults.defaults)
  })

  it.each([
    ["escaped slashes kept", { PathWithEscapedSlashesAction: "KEEP_UNCHANGED" }],
    ["escaped slashes redirected", { PathWithEscapedSlashesAction: "UNESCAPE_AND_REDIRECT" }],
    ["escaped slashes rejected", { PathWithEscapedSlashesAction: "REJECT_REQUEST" }],
    ["merged slashes", { MergeSlashes: true }],
    ["normalisation switched off", { InsecureDisablePathNormalization: true }]
  ])("know how paths are cleaned: %s", (name, expected) => {
    const { incoming } = recorded("normalisation", name)
    assert.deepStrictEqual({ ...incoming }, { ...nothingCleaned, ...expected })
  })

  it.each(
    [
      ["underscores drop header", "drop"],
      ["underscores reject request", "reject"],
      ["merged slashes", "allow"]
    ] as const
  )("know what becomes of underscores: %s", (name, expected) => {
    assert.strictEqual(recorded("normalisation", name).headersWithUnderscores, expected)
  })

  it("know whether client certificates are named", () => {
    assert.isTrue(recorded("defaults", "sanitised client certificate header").sanitizeForwardedClientCert)
    assert.isFalse(recorded("normalisation", "merged slashes").sanitizeForwardedClientCert)
  })

  it("are not guessed from an entry that can not be read", () => {
    const result = MeshDefaults.fromEntry({ Kind: "mesh", HTTP: { SanitizeXForwardedClientCert: "yes" } })
    assert.isTrue(Result.isFailure(result) && result.failure.startsWith("the mesh entry can not be read"))
  })
})

const nothingCleaned = {
  InsecureDisablePathNormalization: false,
  MergeSlashes: false,
  PathWithEscapedSlashesAction: ""
}

/** An agent that answers with one entry or none, holds what is asked after that, or refuses. */
const start = Effect.gen(function*() {
  let published: ReadonlyArray<object> = []
  let index = 1
  let refusing = false
  const held = new Set<() => void>()
  const agent = yield* badAgent((request, response) => {
    const answer = () =>
      refusing
        ? void response.writeHead(403).end("Permission denied: token with AccessorID 'x' lacks a right")
        : json(response, published, index)
    if (refusing || !request.url!.includes(`index=${index}`)) return answer()
    held.add(answer)
    response.on("close", () => held.delete(answer))
  })
  const consul = yield* ConsulClient.make({ ...Settings.defaults, address: agent.address, token: Redacted.make("x") })
    .pipe(Effect.provideService(BlockingQuery.Policy, policy))
  const answerAll = Effect.sync(() => held.forEach((answer) => answer()))
  return {
    agent,
    held: () => held.size,
    publish: (...entries: ReadonlyArray<object>) =>
      Effect.andThen(
        Effect.sync(() => {
          published = entries
          refusing = false
          index++
        }),
        answerAll
      ),
    refuse: Effect.andThen(Effect.sync(() => refusing = true), answerAll),
    watch: Effect.map(
      Layer.build(
        Layer.fresh(Layer.provide(MeshDefaults.layer, Layer.succeed(ConsulClient.ConsulClient, consul)))
      ),
      (context) => Context.get(context, MeshDefaults.MeshDefaults)
    )
  }
})

const policy = {
  wait: "1 minute",
  grace: "100 millis",
  backoff: Schedule.spaced("10 millis"),
  burst: 100,
  interval: "1 millis"
} as const

const merging = { Kind: "mesh", HTTP: { Incoming: { RequestNormalization: { MergeSlashes: true } } } }

describe("MeshDefaults.layer", () => {
  it.live("follows the entry as it comes, changes and goes, in one watch for all", () =>
    Effect.gen(function*() {
      const { agent, held, publish, watch } = yield* start
      const [one, other] = [yield* watch, yield* watch]
      assert.deepStrictEqual(yield* one.get, MeshDefaults.defaults)
      yield* eventually(() => held() === 1)
      yield* publish(merging)
      yield* eventually(() => other.latest()?.incoming.MergeSlashes === true)
      yield* publish()
      yield* eventually(() => one.latest()?.incoming.MergeSlashes === undefined)
      assert.strictEqual(new Set(agent.requests.map((request) => request.split("?")[0])).size, 1)
    }))

  it.live("has the defaults where it may not read, says so once, and learns better", () =>
    Effect.gen(function*() {
      const { agent, publish, refuse, watch } = yield* start
      yield* refuse
      const watched = yield* watch
      assert.deepStrictEqual(yield* watched.get, MeshDefaults.defaults)
      yield* eventually(() => agent.requests.length > 3 && watched.freshness().failures > 2)
      const lines = JSON.stringify(yield* TestConsole.logLines)
      assert.strictEqual(lines.split("WARN").length, 2, lines)
      assert.include(lines, "the mesh entry: ")
      yield* publish(merging)
      yield* eventually(() => watched.latest()?.incoming.MergeSlashes === true && watched.freshness().failures === 0)
    }).pipe(Effect.provide(TestConsole.layer)))

  it.live("keeps what it knows when the right is taken away", () =>
    Effect.gen(function*() {
      const { held, publish, refuse, watch } = yield* start
      yield* publish(merging)
      const watched = yield* watch
      yield* watched.get
      yield* eventually(() => held() === 1)
      yield* refuse
      yield* eventually(() => watched.freshness().failures > 2)
      assert.isTrue(watched.latest()?.incoming.MergeSlashes)
    }))
})
