/** The intentions for a service that config entries of recordings say. */
import { Schema } from "effect"
import * as Intention from "../../src/intention/Intention.ts"

const Sources = Schema.Array(Schema.Record(Schema.String, Schema.Unknown))
const decode = Schema.decodeUnknownSync(Intention.Intention)

export const intentionsOf = (
  config: ReadonlyArray<object> | undefined,
  service: string
): ReadonlyArray<Intention.Intention> =>
  (config ?? []).flatMap((entry) => {
    const { JWT, Kind, Name, Sources: sources } = entry as Record<string, unknown>
    if (Kind !== "service-intentions" || (Name !== service && Name !== "*")) return []
    return Schema.decodeUnknownSync(Sources)(sources).map(({ Action, Name: source, Permissions }) =>
      decode({ SourceName: source, DestinationName: Name, Action, Permissions, JWT })
    )
  })
