/** Requests, judged without sockets: a double stands for the keys of tokens, and fails where nobody may ask for them. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import * as HttpExchange from "../../../src/http/HttpExchange.ts"
import * as RequestChanges from "../../../src/http/RequestChanges.ts"
import type { Connection } from "../../../src/inbound/Connection.ts"
import type * as TokenVerifier from "../../../src/inbound/http/jwt/TokenVerifier.ts"
import type * as RequestAdmission from "../../../src/inbound/http/RequestAdmission.ts"
import * as RequestJudge from "../../../src/inbound/http/RequestJudge.ts"
import * as Audit from "../../../src/intention/Audit.ts"
import type * as Authorizer from "../../../src/intention/Authorizer.ts"
import * as Intention from "../../../src/intention/Intention.ts"
import * as Doubles from "../../support/doubles.ts"
import * as Mesh from "../../support/mesh.ts"

const policy = (...permissions: ReadonlyArray<Intention.Permission>) =>
  Mesh.requestPolicy("api", Intention.make("web", "api", permissions))

const all: Intention.Permission = { Action: "allow", HTTP: { PathPrefix: "/" } }
const okta: Intention.Permission = { ...all, JWT: { Providers: [{ Name: "okta" }] } }
const admin: Intention.Permission = {
  ...all,
  JWT: { Providers: [{ Name: "okta", VerifyClaims: [{ Path: ["role"], Value: "admin" }] }] }
}

const verified = (role: string): TokenVerifier.Verified => ({
  claims: { role },
  rejected: undefined,
  changes: RequestChanges.none
})
const missing: TokenVerifier.Verified = { claims: undefined, rejected: "none", changes: RequestChanges.none }

type Verify = RequestJudge.Options["tokens"]["verify"]

const noKeys: Verify = Doubles.untouchable("the keys of tokens")

const start = (policyInForce: Authorizer.Authorizer, verify: Verify) => {
  let inForce = policyInForce
  let aborted = 0
  const { lines, run, running } = Doubles.runner()
  const refused: Array<RequestAdmission.Refused> = []
  const denied: Array<boolean> = []
  const judge = RequestJudge.make({
    authorizer: () => inForce,
    normalization: () => ({}),
    tokens: { verify },
    log: {
      denied: (_, decision) => denied.push(decision.allowed),
      keys: ({ remote }) => ({ service: "api", remote })
    },
    refused: (_, admission) => refused.push(admission),
    aborted: () => {
      aborted++
    },
    run
  })
  /** A request of a connection of its own. */
  const ask = (target: string, { method = "GET", caller = "web", remote = "10.0.0.1:1" } = {}) => {
    const { connection, resets } = Doubles.connection(caller, remote)
    const exchange = new HttpExchange.Exchange<Connection, RequestAdmission.Concluded>(connection, undefined)
    const answers: Array<RequestAdmission.Concluded["_tag"]> = []
    judge.judge(
      exchange,
      { method, target, authority: undefined, rawHeaders: ["host", "api"] },
      ({ _tag }) => answers.push(_tag)
    )
    const close = () => {
      exchange.over = true
      judge.leave(exchange)
    }
    return { exchange, answers, aborts: resets, close }
  }
  const change = (next: Authorizer.Authorizer) => {
    inForce = next
    return running(judge.again(next))
  }
  return { ask, change, lines, refused, denied, aborted: () => aborted }
}

/** Verdicts are handed on in a turn of their own where tokens had to be verified. */
const turn = Effect.promise(() => new Promise<void>(queueMicrotask))

describe("RequestJudge", () => {
  it("judges at once, and asks for no token, where the verdict depends on none", () => {
    const { ask, denied, refused } = start(policy({ Action: "deny", HTTP: { PathPrefix: "/admin" } }, all), noKeys)
    const [admitted, other] = [ask("/"), ask("/admin")]
    assert.deepStrictEqual([admitted.answers, other.answers], [["Admitted"], ["Denied"]])
    assert.strictEqual(admitted.exchange.concluded?._tag, "Admitted")
    assert.deepStrictEqual([admitted.exchange.refusal, other.exchange.refusal], [undefined, 403])
    assert.deepStrictEqual([refused.map(({ _tag }) => _tag), denied], [["Denied"], []])
  })

  it("refuses what is ambiguous before it asks anybody about it", () => {
    const { ask, refused } = start(policy(okta), noKeys)
    assert.deepStrictEqual(ask("admin").answers, ["Malformed"])
    assert.deepStrictEqual(ask("/", { method: "get" }).answers, ["Malformed"])
    assert.deepStrictEqual(refused.map(({ _tag }) => _tag), ["Malformed", "Malformed"])
  })

  it("lets through what audit mode would refuse, and records it", () => {
    const { ask, denied, refused } = start(Audit.authorizer(Audit.everywhere, policy()), noKeys)
    assert.deepStrictEqual([ask("/").answers, refused, denied], [["Admitted"], [], [true]])
  })

  it.effect("waits for the tokens that the verdict depends on", () =>
    Effect.gen(function*() {
      const keys = yield* Deferred.make<TokenVerifier.Verified>()
      const asked: Array<string> = []
      const { ask, refused } = start(policy(admin), (provider) => {
        asked.push(provider)
        return Deferred.await(keys)
      })
      const { answers, exchange } = ask("/")
      assert.deepStrictEqual([answers, exchange.concluded, asked], [[], undefined, ["okta"]])
      yield* Deferred.succeed(keys, verified("admin"))
      yield* turn
      assert.deepStrictEqual([answers, refused], [["Admitted"], []])
    }))

  it.effect("judges by the intentions that are in force once tokens have been verified", () =>
    Effect.gen(function*() {
      const keys = yield* Deferred.make<TokenVerifier.Verified>()
      const { ask, change } = start(policy(okta), () => Deferred.await(keys))
      const { answers } = ask("/")
      yield* change(policy(admin))
      yield* Deferred.succeed(keys, verified("user"))
      yield* turn
      assert.deepStrictEqual(answers, ["Denied"])
    }))

  it.effect("tells nobody about a request that was over before its tokens were verified, and keeps none of it", () =>
    Effect.gen(function*() {
      const keys = yield* Deferred.make<TokenVerifier.Verified>()
      const { aborted, ask, change } = start(policy(okta), () => Deferred.await(keys))
      const { aborts, answers, close } = ask("/")
      close()
      yield* Deferred.succeed(keys, verified("user"))
      yield* turn
      yield* change(policy())
      assert.deepStrictEqual([answers, aborts(), aborted()], [[], 0, 0])
    }))

  it.effect("aborts what a change refuses, once, and nothing that is over or was refused", () =>
    Effect.gen(function*() {
      const open = policy({ Action: "deny", HTTP: { PathPrefix: "/admin" } }, all)
      const { aborted, ask, change, lines } = start(open, noKeys)
      const [kept, over, refused] = [ask("/b"), ask("/a"), ask("/admin")]
      const ended = [ask("/a", { remote: "10.0.0.2:1" }), ask("/a", { remote: "10.0.0.3:1" })]
      over.close()
      const closing = policy({ Action: "deny", HTTP: { PathPrefix: "/a" } }, all)
      yield* change(closing)
      yield* change(closing)
      assert.deepStrictEqual([kept, over, refused, ...ended].map(({ aborts }) => aborts()), [0, 0, 0, 1, 1])
      assert.strictEqual(aborted(), 2)
      assert.strictEqual(lines.length, 1)
      assert.include(
        lines[0],
        "\"ended requests of web (denied by permission 1 of intention web → api (precedence 9)): the intentions changed\""
      )
      assert.match(lines[0]!, / service=api remote=10\.0\.0\.3:1 reason=denied$/)
    }))

  it.effect("asks for the token that a change demands of a request at hand, and aborts it if that is missing", () =>
    Effect.gen(function*() {
      const answers = [verified("user"), missing]
      const { aborted, ask, change, lines } = start(policy(all), () => Effect.succeed(answers.shift() ?? assert.fail()))
      const [bearing, without] = [ask("/"), ask("/")]
      yield* change(policy(okta))
      assert.deepStrictEqual([bearing.aborts(), without.aborts(), aborted()], [0, 1, 1])
      assert.include(lines[0], "requires a token of okta (none)): the intentions changed\"")
    }))

  it.effect("counts the token that a request came with until it is over, and asks for it no more", () =>
    Effect.gen(function*() {
      let asked = 0
      const { aborted, ask, change } = start(policy(all), () => {
        asked++
        return Effect.succeed(verified("user"))
      })
      const { aborts } = ask("/")
      yield* change(policy(okta))
      yield* change(policy(okta))
      assert.deepStrictEqual([asked, aborts()], [1, 0])
      yield* change(policy(admin))
      assert.deepStrictEqual([asked, aborts(), aborted()], [1, 1, 1])
    }))

  it.effect("leaves a request alone that is over before the token that a change demands was verified", () =>
    Effect.gen(function*() {
      const keys = yield* Deferred.make<TokenVerifier.Verified>()
      const { aborted, ask, change, lines } = start(policy(all), () => Deferred.await(keys))
      const { aborts, close } = ask("/")
      yield* change(policy(okta))
      close()
      yield* Deferred.succeed(keys, missing)
      yield* turn
      assert.deepStrictEqual([aborts(), aborted(), lines], [0, 0, []])
    }))
})
