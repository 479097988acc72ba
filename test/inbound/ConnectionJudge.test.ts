/** Open connections, judged again by intentions: no sockets, and a change is a value. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Stream } from "effect"
import * as ConnectionJudge from "../../src/inbound/ConnectionJudge.ts"
import * as OpenConnections from "../../src/inbound/OpenConnections.ts"
import type * as Authorizer from "../../src/intention/Authorizer.ts"
import * as Decision from "../../src/intention/Decision.ts"
import * as Certificates from "../support/certificates.ts"
import * as Doubles from "../support/doubles.ts"
import { material } from "../support/handshake.ts"
import { policy } from "../support/mesh.ts"

const admitted: ConnectionJudge.Verdict = { decision: Decision.make(true, "no-intention") }

const ca = await Certificates.root("ca")
const { arrival } = Doubles.arrive(material(await Certificates.issue(ca), Certificates.bundle(ca)))

/** What is open is of these callers. */
const opened = (...names: ReadonlyArray<string>) => {
  const { lines, running } = Doubles.runner()
  const cut: Array<string> = []
  const open = OpenConnections.make({ service: () => "api", cut: ({ caller }) => cut.push(caller.service) })
  const connections = names.map((name) => Doubles.connection(name).connection)
  connections.forEach((connection) => open.admit(connection, admitted))
  return { connections, cut, lines, open, running }
}

const judgeBy = (
  inForce: Authorizer.Authorizer,
  changes: ReadonlyArray<Authorizer.Authorizer> = [],
  keep: ConnectionJudge.Options["keep"] = ({ caller }, authorizer) => authorizer.connection(caller)
) =>
  ConnectionJudge.byIntentions({
    intentions: { changes: Stream.fromIterable(changes) },
    authorizer: () => inForce,
    keep
  })

const without = (line: string | undefined, key: string) => line?.replace(new RegExp(` ${key}=\\S+`), "")

describe("a judge by intentions", () => {
  it.effect("gives others a turn among the many that it cuts, and says it once", () =>
    Effect.gen(function*() {
      const { cut, lines, open, running } = opened(...Array.from({ length: 1000 }, (_, i) => i === 950 ? "ops" : "web"))
      const seen = new Set<number>()
      const look = () => {
        if (cut.length < 999) setImmediate(look)
        seen.add(cut.length)
      }
      setImmediate(look)
      const inForce = policy("api", { web: "allow", ops: "allow" })
      yield* running(judgeBy(inForce, [policy("api", { web: "deny", ops: "allow" })]).follow(open))
      assert.deepStrictEqual([cut.length, open.size(), open.ended()], [999, 1, 999])
      const counts = [...seen, 999]
      for (const [i, count] of counts.entries()) assert.isAtMost(count - (counts[i - 1] ?? 0), 200)
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "cut 999 open connections of web")
    }))

  it("decides about new connections at once, and asks for nothing else", () => {
    const judge = judgeBy(policy("api", { web: "allow" }), [], Doubles.untouchable("what decides about open ones"))
    const verdicts: Array<boolean> = []
    for (const name of ["web", "ops"]) {
      const { connection: { caller, socket } } = Doubles.connection(name)
      judge.decide(
        { caller, socket, certificate: undefined, arrival },
        (verdict) => verdicts.push(Result.getOrThrow(verdict).decision.allowed)
      )
    }
    assert.deepStrictEqual(verdicts, [true, false])
  })

  it.effect("cuts what a change denies, and nothing else, with a line for each caller", () =>
    Effect.gen(function*() {
      const { connections, cut, lines, open, running } = opened("web", "batch", "web", "ops")
      const inForce = policy("api", { web: "allow", batch: "allow", ops: "allow" })
      const judge = judgeBy(inForce, [inForce, policy("api", { web: "deny", batch: "allow" })])
      yield* running(judge.follow(open))
      assert.deepStrictEqual(cut, ["web", "web", "ops"])
      assert.deepStrictEqual([open.size(), open.admitted(), open.ended()], [1, 4, 3])
      assert.deepStrictEqual(Array.from(open.open(), ([connection]) => connection), [connections[1]])
      assert.strictEqual(lines.length, 2)
      assert.match(lines[0]!, / millis=[\d.]+$/)
      assert.include(
        without(lines[0], "millis"),
        "message=\"cut 2 open connections of web (denied by intention web → api (precedence 9)): the intentions changed\" " +
          `reason=denied direction=inbound service=api peer=${Doubles.peerOf(connections[0]!)} count=2`
      )
      assert.include(lines[1], "cut 1 open connection of ops (denied by the default policy: ")
    }))

  it.effect("cuts on a schedule too what is in force denies, should a change go unheard", () =>
    Effect.gen(function*() {
      const { cut, lines, open, running } = opened("web", "ops")
      yield* running(judgeBy(policy("api", { web: "allow" })).again(open))
      assert.deepStrictEqual(cut, ["ops"])
      assert.include(lines[0], ": judged again on schedule\"")
    }))

  it.effect("lets its user say who may stay, by the intentions that are heard of", () =>
    Effect.gen(function*() {
      const { cut, open, running } = opened("web", "ops")
      const changed = policy("api", {})
      const judge = judgeBy(policy("api", {}), [changed], ({ caller }, authorizer) => {
        assert.strictEqual(authorizer, changed)
        return Decision.make(caller.service === "ops", "no-intention")
      })
      yield* running(judge.follow(open))
      assert.deepStrictEqual(cut, ["web"])
    }))
})
