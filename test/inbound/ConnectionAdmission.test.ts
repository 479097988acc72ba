/** The way of a connection through admission, over doubles that must not be touched before their turn. */
import { assert, describe, it } from "@effect/vitest"
import { X509Certificate } from "node:crypto"
import { Socket } from "node:net"
import { Result } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as ConnectionAdmission from "../../src/inbound/ConnectionAdmission.ts"
import type * as ConnectionJudge from "../../src/inbound/ConnectionJudge.ts"
import * as Decision from "../../src/intention/Decision.ts"
import type * as PeerVerification from "../../src/tls/PeerVerification.ts"
import * as Refusal from "../../src/tls/Refusal.ts"
import * as Certificates from "../support/certificates.ts"
import * as Doubles from "../support/doubles.ts"
import { material } from "../support/handshake.ts"

const ca = await Certificates.root("ca")
const issued = await Certificates.issue(ca)
const own = material(issued, Certificates.bundle(ca))
const certificateOf = async (options: Certificates.LeafOptions) =>
  new X509Certificate((await Certificates.issue(ca, options)).certPem)

const presented = (overrides: Partial<PeerVerification.Presented> = {}): PeerVerification.Presented => ({
  certificate: new X509Certificate(issued.certPem),
  authorities: () => [],
  pathError: undefined,
  resumed: false,
  ...overrides
})

const arrive = () => Doubles.arrive(own)

const nameless = await certificateOf({ uris: [], dns: ["web"] })
const agent = await certificateOf({ uris: [`spiffe://${Certificates.trustDomain}/agent/client/dc/dc1/id/n`] })

const allow: ConnectionJudge.Verdict = { decision: Decision.make(true, "no-intention") }
const deny: ConnectionJudge.Verdict = { decision: Decision.make(false, "no-intention") }

describe("ConnectionAdmission", () => {
  it.each([
    ["without a certificate", presented({ certificate: undefined }), "no_certificate"],
    ["with an expired path", presented({ pathError: "CERT_HAS_EXPIRED" }), "certificate_expired"],
    ["with a resumed session", presented({ resumed: true }), "resumed"],
    ["without an identity", presented({ certificate: nameless }), "no_identity"],
    ["that is an agent", presented({ certificate: agent }), "not_a_service"]
  ])("refuses a caller %s before anybody judges it, and resets it", (_, peer, reason) => {
    const refusals: Array<readonly [string, string]> = []
    const { arrival, resets } = arrive()
    ConnectionAdmission.make({
      tunnelled: () => false,
      presented: () => peer,
      judge: { decide: Doubles.untouchable("the judge") },
      enter: Doubles.untouchable("the application"),
      refuse: (refusal, remote) => refusals.push([Refusal.reason(refusal), remote])
    }).finished(new Socket(), arrival)
    assert.deepStrictEqual(refusals, [[reason, "10.0.0.1:4711"]])
    assert.strictEqual(resets(), 1)
  })

  it("refuses whom the judge denies, and resets it before the application hears of it", () => {
    const refusals: Array<Refusal.Refusal> = []
    const { arrival, resets } = arrive()
    ConnectionAdmission.make({
      tunnelled: () => false,
      presented: () => presented(),
      judge: { decide: (_, then) => then(Result.succeed(deny)) },
      enter: Doubles.untouchable("the application"),
      refuse: (refusal) => refusals.push(refusal)
    }).finished(new Socket(), arrival)
    assert.deepStrictEqual(refusals, [
      { _tag: "Denied", caller: Certificates.service("web"), decision: deny.decision }
    ])
    assert.strictEqual(resets(), 1)
  })

  it("refuses whom the judge can not decide about, with the judge's reason", () => {
    const refusals: Array<Refusal.Refusal> = []
    const { arrival, resets } = arrive()
    const unavailable: Refusal.Refusal = { _tag: "AuthorizationUnavailable", caller: "web", why: "it is away" }
    ConnectionAdmission.make({
      tunnelled: () => false,
      presented: () => presented(),
      judge: { decide: (_, then) => then(Result.fail(unavailable)) },
      enter: Doubles.untouchable("the application"),
      refuse: (refusal) => refusals.push(refusal)
    }).finished(new Socket(), arrival)
    assert.deepStrictEqual(refusals, [unavailable])
    assert.strictEqual(resets(), 1)
  })

  it("judges a stream of a tunnel from its own beginning, and cuts it alone", () => {
    const { arrival, resets } = arrive()
    const socket = new Socket()
    const stream = new Socket()
    const candidates: Array<ConnectionJudge.Candidate> = []
    const entered: Array<Parameters<ConnectionAdmission.Stages<Socket>["enter"]>> = []
    const refusals: Array<readonly [Refusal.Refusal, boolean]> = []
    const cuts: Array<Refusal.Refusal> = []
    let identified: ConnectionAdmission.Identified | undefined
    let verdict = allow
    const admission = ConnectionAdmission.make({
      tunnelled: (_, who) => {
        identified = who
        return true
      },
      presented: () => presented(),
      judge: {
        decide: (candidate, then) => {
          candidates.push(candidate)
          then(Result.succeed(verdict))
        }
      },
      enter: (...details) => entered.push(details),
      refuse: (refusal, _, __, isStream) => refusals.push([refusal, isStream])
    })
    admission.finished(socket, { ...arrival, since: performance.now() - 60_000 })
    if (identified === undefined) return assert.fail("nobody was identified")
    assert.deepStrictEqual([candidates, entered], [[], []])
    const open = (who: ConnectionAdmission.Identified) =>
      admission.opened({ socket: stream, reset: () => {} }, who, (refusal) => cuts.push(refusal))
    const before = performance.now()
    open(identified)
    assert.isAtLeast(candidates[0]!.arrival.since, before)
    const [[connection, , of] = assert.fail("it did not enter")] = entered
    assert.deepStrictEqual([connection.socket, connection.carrier, of], [stream, socket, undefined])
    assert.isAtLeast(connection.since, before)
    verdict = deny
    open(identified)
    const refusal = { _tag: "Denied", caller: Certificates.service("web"), decision: deny.decision }
    assert.deepStrictEqual<unknown>([cuts, refusals, entered.length, resets()], [[refusal], [[refusal, true]], 1, 0])
  })

  it("hands over a caller once it was let in, with who it is and why", () => {
    let answer: Parameters<ConnectionJudge.ConnectionJudge["decide"]>[1] = Doubles.untouchable(
      "an answer before its question"
    )
    const entered: Array<Parameters<ConnectionAdmission.Stages<Socket>["enter"]>> = []
    const candidates: Array<ConnectionJudge.Candidate> = []
    const { arrival, resets } = arrive()
    const socket = new Socket()
    ConnectionAdmission.make({
      tunnelled: () => false,
      presented: () => presented(),
      judge: {
        decide: (candidate, then) => {
          candidates.push(candidate)
          answer = then
        }
      },
      enter: (...details) => entered.push(details),
      refuse: Doubles.untouchable("the record of refusals")
    }).finished(socket, arrival)
    assert.deepStrictEqual(entered, [])
    assert.deepStrictEqual(
      candidates.map(({ arrival, caller, socket }) => [SpiffeId.display(caller), socket, arrival]),
      [["web", socket, arrival]]
    )
    assert.strictEqual(candidates[0]?.certificate?.serialNumber, new X509Certificate(issued.certPem).serialNumber)
    answer(Result.succeed(allow))
    const [[connection, verdict, of] = assert.fail("it did not enter")] = entered
    assert.deepStrictEqual(
      [connection.caller, connection.decision, connection.remote, connection.socket],
      [Certificates.service("web"), allow.decision, "10.0.0.1:4711", socket]
    )
    assert.deepStrictEqual([verdict, of, resets()], [allow, arrival, 0])
  })
})
