/** Decides whether callers may connect, and stay: by watched intentions, here, or by asking the agent, in `AskAgent`. */
import { Effect, Result, Stream } from "effect"
import type * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Authorizer from "../intention/Authorizer.ts"
import type * as Decision from "../intention/Decision.ts"
import type * as Refusal from "../tls/Refusal.ts"
import type * as Watched from "../watch/Watched.ts"
import type * as Authorization from "./Authorization.ts"
import type { Connection } from "./Connection.ts"
import type * as PeerVerification from "../tls/PeerVerification.ts"
import type * as TlsServer from "./TlsServer.ts"
import type * as Splice from "../net/Splice.ts"

/** A caller whose certificate has been verified. */
export interface Candidate {
  readonly caller: SpiffeId.Service
  readonly certificate: PeerVerification.Presented["certificate"]
  readonly socket: Splice.Stream
  readonly arrival: TlsServer.Arrival
}

export interface Verdict {
  readonly decision: Decision.Decision
  /** The question to the agent, where the agent decides. */
  readonly question?: Authorization.Question
}

/** Open connections, as a judge sees them. */
export interface Open {
  readonly open: () => Iterable<readonly [Connection, Verdict]>
  /** Cuts those that `decide` refuses, and logs `why`. `among` limits the round to these. */
  readonly judge: (
    decide: (connection: Connection) => Decision.Decision,
    why: string,
    among?: Iterable<Connection>
  ) => Effect.Effect<void>
}

export interface ConnectionJudge {
  /** Calls `then` once with the verdict on a new connection: synchronously, unless it has to ask. */
  readonly decide: (candidate: Candidate, then: (verdict: Result.Result<Verdict, Refusal.Refusal>) => void) => void
  /** Judges all open connections again, now. */
  readonly again: (connections: Open) => Effect.Effect<void>
  /** Judges all open connections again at each change of policy. Ends where it hears of none. */
  readonly follow: (connections: Open) => Effect.Effect<void>
}

/** Why `again` cuts a connection, in the log. */
export const onSchedule = "judged again on schedule"

export interface Options {
  readonly intentions: Pick<Watched.Watched<Authorizer.Authorizer>, "changes">
  readonly authorizer: () => Authorizer.Authorizer
  /** Whether an open connection may stay. */
  readonly keep: (connection: Connection, authorizer: Authorizer.Authorizer) => Decision.Decision
}

export const byIntentions = ({ authorizer, intentions, keep }: Options): ConnectionJudge => {
  const judge = (connections: Open, current: Authorizer.Authorizer, why: string) =>
    connections.judge((connection) => keep(connection, current), why)
  return {
    decide: ({ caller }, then) => then(Result.succeed({ decision: authorizer().connection(caller) })),
    again: (connections) => Effect.suspend(() => judge(connections, authorizer(), onSchedule)),
    follow: (connections) =>
      Stream.runForEach(intentions.changes, (changed) => judge(connections, changed, "the intentions changed"))
  }
}
