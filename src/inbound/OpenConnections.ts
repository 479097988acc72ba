/** The registry of admitted connections. A later verdict cuts those that may not stay. */
import { Effect } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Decision from "../intention/Decision.ts"
import * as Reauthorization from "./Reauthorization.ts"
import type { Connection } from "./Connection.ts"
import type * as ConnectionJudge from "./ConnectionJudge.ts"

export interface OpenConnections extends
  Pick<
    Reauthorization.Reauthorization<Connection, ConnectionJudge.Verdict>,
    "size" | "admitted" | "ended" | "admit" | "leave" | "open"
  >,
  ConnectionJudge.Open
{}

export interface Options {
  /** The service that callers connect to. */
  readonly service: () => string
  /** Closes a connection that may not stay. */
  readonly cut: (connection: Connection) => void
}

export const make = ({ cut, service }: Options): OpenConnections => {
  const admissions = Reauthorization.make<Connection, ConnectionJudge.Verdict>({
    nameOf: ({ caller }) => SpiffeId.display(caller),
    end: cut
  })
  const judge = (
    decide: (connection: Connection) => Decision.Decision,
    why: string,
    among?: Iterable<Connection>
  ) => {
    const started = performance.now()
    const ended = admissions.judge(decide, among)
    const millis = Math.round((performance.now() - started) * 1000) / 1000
    return Effect.forEach(ended, ({ all, line }) =>
      Effect.annotateLogs(
        Effect.logWarning(`cut ${all.length} open connection${all.length === 1 ? "" : "s"} of ${line}: ${why}`),
        {
          reason: "denied",
          direction: "inbound",
          service: service(),
          peer: SpiffeId.format(all[0].caller),
          count: all.length,
          millis
        }
      ), { discard: true })
  }
  return { ...admissions, judge: (decide, why, among) => Effect.suspend(() => judge(decide, why, among)) }
}
