/** A judge that asks, over a double of the agent: no TLS, no HTTP. */
import { assert, describe, it } from "@effect/vitest"
import { X509Certificate } from "node:crypto"
import { Deferred, Effect, Result } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as AskAgent from "../../src/inbound/AskAgent.ts"
import * as Authorization from "../../src/inbound/Authorization.ts"
import type * as ConnectionJudge from "../../src/inbound/ConnectionJudge.ts"
import * as OpenConnections from "../../src/inbound/OpenConnections.ts"
import * as Decision from "../../src/intention/Decision.ts"
import type * as Refusal from "../../src/tls/Refusal.ts"
import * as Certificates from "../support/certificates.ts"
import * as Doubles from "../support/doubles.ts"
import { material } from "../support/handshake.ts"

const ca = await Certificates.root("ca")
const issued = await Certificates.issue(ca)
const certificate = new X509Certificate(issued.certPem)
const own = material(issued, Certificates.bundle(ca))

const allow = Decision.make(true, "agent", undefined, undefined, "welcome")
const deny = Decision.make(false, "agent", undefined, undefined, "not today")

type Ask = Authorization.Asked["ask"]

const judgeBy = (ask: Ask, handshakeMillis = 1000) => {
  const { lines, run, running } = Doubles.runner()
  return { lines, running, judge: AskAgent.make({ asked: { ask }, handshakeMillis, run }) }
}

/** Asks about a caller, and collects what is said of it. */
const decideAbout = (judge: ConnectionJudge.ConnectionJudge, caller = Certificates.service("web"), since?: number) => {
  const { arrival } = Doubles.arrive(own)
  const { connection: { socket } } = Doubles.connection("web")
  const verdicts: Array<Result.Result<ConnectionJudge.Verdict, Refusal.Refusal>> = []
  judge.decide(
    { arrival: { ...arrival, since: since ?? arrival.since }, caller, certificate, socket },
    (verdict) => verdicts.push(verdict)
  )
  return { socket, verdicts }
}

const unavailable = new Authorization.AuthorizationUnavailable({ caller: "web", why: "it is away" })

describe("a judge that asks the agent", () => {
  it.effect("asks about the caller's certificate, and says nothing before the answer", () =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<Decision.Decision>()
      const questions: Array<Authorization.Question> = []
      const { judge } = judgeBy((question) => {
        questions.push(question)
        return Deferred.await(answer)
      })
      const before = Doubles.connection("web").connection.socket.listenerCount("close")
      const { socket, verdicts } = decideAbout(judge)
      const serial = certificate.serialNumber.toLowerCase().replace(/..(?!$)/g, "$&:")
      const question = { caller: Certificates.service("web"), serial }
      assert.deepStrictEqual([questions, verdicts], [[question], []])
      assert.strictEqual(socket.listenerCount("close"), before + 1)
      yield* Deferred.succeed(answer, deny)
      assert.deepStrictEqual(verdicts.map(Result.getOrThrow), [{ decision: deny, question }])
      assert.strictEqual(socket.listenerCount("close"), before)
    }))

  it("does not ask about callers of another trust domain: the agent would not look at that", () => {
    const { judge } = judgeBy(Doubles.untouchable("the agent"))
    const stranger = SpiffeId.service({ trustDomain: "other.consul", datacenter: "dc1", service: "web" })
    const { verdicts } = decideAbout(judge, stranger)
    assert.deepStrictEqual(verdicts.map((verdict) => Result.isFailure(verdict) && verdict.failure), [{
      _tag: "ForeignTrustDomain",
      presented: SpiffeId.format(stranger),
      expected: Certificates.trustDomain
    }])
  })

  it("refuses new connections while the agent is away", () => {
    const { judge } = judgeBy(() => Effect.fail(unavailable))
    const { verdicts } = decideAbout(judge)
    assert.deepStrictEqual(verdicts.map((verdict) => Result.isFailure(verdict) && verdict.failure), [unavailable])
  })

  it("gives the agent what is left of the time for a handshake", () => {
    const times: Array<number> = []
    const { judge } = judgeBy((_, withinMillis) => {
      times.push(withinMillis)
      return Effect.succeed(allow)
    }, 1000)
    decideAbout(judge, Certificates.service("web"), performance.now() - 990)
    assert.isAtMost(times[0]!, 10)
  })

  it.effect("asks no longer once the caller has left", () =>
    Effect.gen(function*() {
      const given = yield* Deferred.make<void>()
      const { judge } = judgeBy(() => Effect.onInterrupt(Effect.never, () => Deferred.succeed(given, undefined)))
      const { socket, verdicts } = decideAbout(judge)
      socket.destroy()
      yield* Deferred.await(given)
      yield* Effect.promise(() => new Promise(setImmediate))
      assert.deepStrictEqual(verdicts.map((verdict) => Result.isFailure(verdict) && verdict.failure._tag), [
        "Disconnected"
      ])
      assert.strictEqual(socket.listenerCount("close"), 0)
    }))
})

describe("a round of questions about open connections", () => {
  /** Those with the same serial have one certificate. */
  const opened = (...callers: ReadonlyArray<readonly [name: string, serial: string | undefined]>) => {
    const cut: Array<string> = []
    const open = OpenConnections.make({ service: () => "api", cut: ({ caller }) => cut.push(caller.service) })
    for (const [name, serial] of callers) {
      const { connection } = Doubles.connection(name)
      open.admit(connection, {
        decision: allow,
        ...(serial === undefined ? {} : { question: { caller: connection.caller, serial } })
      })
    }
    return { cut, open }
  }

  it.effect("asks once about each certificate, and cuts all connections that had a refused one", () =>
    Effect.gen(function*() {
      const { cut, open } = opened(["web", "01"], ["batch", "02"], ["web", "01"], ["web", "03"], ["ops", undefined])
      const asked: Array<string> = []
      const { judge, lines, running } = judgeBy(({ serial }) => {
        asked.push(serial)
        return Effect.succeed(serial === "01" ? deny : allow)
      })
      yield* running(judge.again(open))
      assert.deepStrictEqual([asked, cut, open.size(), open.ended()], [["01", "02", "03"], ["web", "web"], 3, 2])
      assert.strictEqual(lines.length, 1)
      assert.include(
        lines[0],
        "cut 2 open connections of web (denied by the agent: not today): judged again on schedule"
      )
    }))

  it.effect("leaves connections alone that are gone by the time of the answer", () =>
    Effect.gen(function*() {
      const { cut, open } = opened(["web", "01"])
      const { judge, lines, running } = judgeBy(() =>
        Effect.sync(() => {
          for (const [connection] of open.open()) open.leave(connection)
          return deny
        })
      )
      yield* running(judge.again(open))
      assert.deepStrictEqual([cut, lines, open.ended()], [[], [], 0])
    }))

  it.effect("ends with the first question that is not answered, and leaves what is open alone", () =>
    Effect.gen(function*() {
      const { cut, open } = opened(["a", "01"], ["b", "02"], ["c", "03"], ["d", "04"], ["e", "05"])
      let asked = 0
      const { judge, lines, running } = judgeBy(() => {
        asked++
        return Effect.fail(unavailable)
      })
      yield* running(judge.again(open))
      assert.isAtMost(asked, 2)
      assert.deepStrictEqual([cut, open.size()], [[], 5])
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "open connections stay as they are: the agent can not be asked about web: it is away")
      assert.include(lines[0], "reason=authorization_unavailable direction=inbound")
    }))

  it.effect("hears of no changes", () =>
    Effect.gen(function*() {
      const { judge } = judgeBy(Doubles.untouchable("the agent"))
      yield* judge.follow({ open: Doubles.untouchable("the open ones"), judge: Doubles.untouchable("the open ones") })
    }))
})
