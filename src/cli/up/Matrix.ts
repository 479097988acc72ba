/** Who may call whom, as a table for the terminal. */
import { Stream } from "effect"
import type * as Authorizer from "../../intention/Authorizer.ts"
import * as Decision from "../../intention/Decision.ts"
import * as SpiffeId from "../../identity/SpiffeId.ts"
import type * as Watched from "../../watch/Watched.ts"

/** A service whose callers are judged here. */
export interface Destination {
  readonly identity: SpiffeId.Service
  readonly authorizer: Watched.Watched<Authorizer.Authorizer>
}

/** The table now, and again after each change of the intentions that changes it. Never ends. */
export const changes = (destinations: ReadonlyArray<Destination>): Stream.Stream<string> =>
  Stream.mergeAll(destinations.map(({ authorizer }) => authorizer.changes), { concurrency: "unbounded" }).pipe(
    Stream.filter(() => destinations.every(({ authorizer }) => authorizer.latest() !== undefined)),
    Stream.map(() => render(destinations)),
    Stream.changes,
    Stream.concat(Stream.never) // without a sidecar there is nothing to follow, and the mesh goes on
  )

/** One line for each pair of services, with the reason. */
export const render = (destinations: ReadonlyArray<Destination>): string => {
  const sources = destinations.toSorted((a, b) => a.identity.service < b.identity.service ? -1 : 1)
  const lines = sources.flatMap(({ identity: source }) =>
    sources.filter(({ identity }) => identity.service !== source.service).map(({ authorizer, identity }) => {
      const decision = authorizer.latest()?.connection(source)
      const verdict = decision === undefined ? ["?", "not known yet"] as const : [
        decision.allowed ? "✓" : "✗",
        Decision.explain(decision)
      ] as const
      return [SpiffeId.display(source), SpiffeId.display(identity), ...verdict] as const
    })
  )
  const width = (column: 0 | 1) => Math.max(...lines.map((line) => line[column].length))
  return [
    "\nWho may call whom:",
    ...lines.map(([source, destination, mark, why]) =>
      `  ${mark} ${source.padEnd(width(0))} → ${destination.padEnd(width(1))}  ${why}`
    )
  ].join("\n")
}
