/**
 * Decides about connections by asking the agent: before the handler gets one, and again on a schedule. While the agent is
 * silent, new connections fail closed, and open ones stay.
 */
import { Effect, Result } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Decision from "../intention/Decision.ts"
import type * as Refusal from "../tls/Refusal.ts"
import * as Authorization from "./Authorization.ts"
import type { Connection } from "./Connection.ts"
import * as ConnectionJudge from "./ConnectionJudge.ts"
import type * as Splice from "../net/Splice.ts"

/** Questions of a round at a time, so that new connections come first. */
const concurrency = 2

export interface Options {
  readonly asked: Authorization.Asked
  /** How long a connection may take to be admitted, its handshake included. */
  readonly handshakeMillis: number
  readonly run: (asking: Effect.Effect<void>) => void
}

export const make = ({ asked, handshakeMillis, run }: Options): ConnectionJudge.ConnectionJudge => ({
  decide: ({ arrival, caller, certificate, socket }, then) => {
    const question = Authorization.question(caller, certificate!, arrival.material)
    if (Result.isFailure(question)) return then(Result.fail(question.failure))
    const left = handshakeMillis - (performance.now() - arrival.since)
    run(Effect.match(first(asked, question.success, socket, left), {
      onFailure: (refusal) => then(Result.fail(refusal)),
      onSuccess: (decision) => then(Result.succeed({ decision, question: question.success }))
    }))
  },
  again: (connections) => again(asked, connections, handshakeMillis),
  // The agent announces no changes: `again` asks for them.
  follow: () => Effect.void
})

/** The answer about a new connection. A peer that leaves ends the question. */
const first = (
  asked: Authorization.Asked,
  question: Authorization.Question,
  socket: Splice.Stream,
  withinMillis: number
): Effect.Effect<Decision.Decision, Refusal.Refusal> =>
  Effect.raceFirst(
    asked.ask(question, withinMillis),
    Effect.callback<never, Refusal.Refusal>((resume) => {
      const leave = () => resume(Effect.fail({ _tag: "Disconnected" }))
      if (socket.destroyed) return leave()
      socket.once("close", leave)
      return Effect.sync(() => void socket.off("close", leave))
    })
  )

/**
 * Asks once about each certificate, and cuts the connections of a refused one. The first question without an answer ends
 * the round: the next round asks again.
 */
const again = (
  asked: Authorization.Asked,
  connections: ConnectionJudge.Open,
  withinMillis: number
): Effect.Effect<void> =>
  Effect.suspend(() =>
    Effect.forEach(
      byCertificate(connections),
      ({ all, question }) =>
        Effect.flatMap(
          asked.ask(question, withinMillis),
          (decision) => connections.judge(() => decision, ConnectionJudge.onSchedule, all)
        ),
      { concurrency, discard: true }
    )
  ).pipe(
    Effect.catch(({ message }) =>
      Effect.annotateLogs(Effect.logWarning(`open connections stay as they are: ${message}`), {
        reason: "authorization_unavailable",
        direction: "inbound"
      })
    )
  )

interface Group {
  readonly question: Authorization.Question
  readonly all: Array<Connection>
}

const byCertificate = ({ open }: ConnectionJudge.Open): Iterable<Group> => {
  const groups = new Map<string, Group>()
  for (const [connection, { question }] of open()) {
    if (question === undefined) continue
    const key = `${question.serial} ${SpiffeId.format(question.caller)}`
    const present = groups.get(key)
    if (present === undefined) groups.set(key, { question, all: [connection] })
    else present.all.push(connection)
  }
  return groups.values()
}
