/**
 * What a listener does where the agent decides about connections: it asks before the handler gets one, and again now and
 * then. New connections fail closed when the agent is silent, open ones are left alone.
 */
import type { Socket } from "node:net"
import { Effect } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Decision from "../intention/Decision.ts"
import type * as Refusal from "../tls/Refusal.ts"
import type * as Authorization from "./Authorization.ts"

/** Questions of a round at a time, so that new connections come first. */
const concurrency = 2

/** The answer about a connection whose handshake is over; it is abandoned when the peer leaves. */
export const first = (
  asked: Authorization.Asked,
  question: Authorization.Question,
  socket: Socket,
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
 * Asks once about each certificate, and hands those that are refused to `cut`. The round ends with the first question that
 * is not answered: the next one will be as good.
 */
export const again = <A extends object>(
  asked: Authorization.Asked,
  open: Iterable<A>,
  questionOf: (connection: A) => Authorization.Question | undefined,
  withinMillis: number,
  cut: (connections: ReadonlyArray<A>, decision: Decision.Decision) => Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const groups = new Map<string, { readonly question: Authorization.Question; readonly connections: Array<A> }>()
    for (const connection of open) {
      const question = questionOf(connection)
      if (question === undefined) continue
      const key = `${question.serial} ${SpiffeId.format(question.caller)}`
      const present = groups.get(key)
      if (present === undefined) groups.set(key, { question, connections: [connection] })
      else present.connections.push(connection)
    }
    return Effect.forEach(
      groups.values(),
      ({ connections, question }) =>
        Effect.flatMap(
          asked.ask(question, withinMillis),
          (decision) => decision.allowed ? Effect.void : cut(connections, decision)
        ),
      { concurrency, discard: true }
    ).pipe(
      Effect.catch(({ message }) =>
        Effect.annotateLogs(Effect.logWarning(`open connections stay as they are: ${message}`), {
          reason: "authorization_unavailable",
          direction: "inbound"
        })
      )
    )
  })
