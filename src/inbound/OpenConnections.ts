/** The registry of admitted connections. A later verdict cuts those that may not stay. */
import { Effect } from "effect"
import * as SpiffeId from "../identity/SpiffeId.ts"
import type * as Decision from "../intention/Decision.ts"
import * as OneATurn from "../tls/OneATurn.ts"
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
  const judge = Effect.fnUntraced(function*(
    decide: (connection: Connection) => Decision.Decision,
    why: string,
    among?: Iterable<Connection>
  ) {
    const waiting = among === undefined ? Array.from(admissions.open(), ([one]) => one) : [...among]
    const ended = new Map<string, Array<Connection>>()
    let spent = 0
    for (let at = 0; at < waiting.length; at += together) {
      if (at > 0) yield* OneATurn.turn
      const started = performance.now()
      for (const { all, line } of admissions.judge(decide, waiting.slice(at, at + together))) {
        ended.set(line, [...(ended.get(line) ?? []), ...all])
      }
      spent += performance.now() - started
    }
    const millis = Math.round(spent * 1000) / 1000
    yield* Effect.forEach(ended, ([line, all]) =>
      Effect.annotateLogs(
        Effect.logWarning(`cut ${all.length} open connection${all.length === 1 ? "" : "s"} of ${line}: ${why}`),
        {
          reason: "denied",
          direction: "inbound",
          service: service(),
          peer: SpiffeId.format(all[0]!.caller),
          count: all.length,
          millis
        }
      ), { discard: true })
  })
  return { ...admissions, judge }
}

/**
 * How many are judged in one turn of the event loop. Each that is cut makes work for the next one, and its peer is told only then: of thousands
 * at once the first would hear of it last.
 */
const together = 100
