/** What a mesh for tests writes to its agent. An intention counts as written once the service that it protects has heard of it. */
import { Context, Effect, Equal, type Schema } from "effect"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as Intention from "../intention/Intention.ts"
import * as Intentions from "../watch/Intentions.ts"
import * as Attempt from "./Attempt.ts"
import type * as Members from "./Members.ts"

export type Entry = Schema.JsonObject & { readonly Kind: string; readonly Name: string }

export interface Entries {
  readonly write: (entry: Entry) => Effect.Effect<void, Attempt.TestMeshError>
  /** Replaces what was said about the two before. */
  readonly intend: (source: string, destination: string, rule: object) => Effect.Effect<void, Attempt.TestMeshError>
}

export const make = (consul: ConsulClient.ConsulClient["Service"], { joined }: Members.Members): Entries => {
  /** By destination, then by source. */
  const intentions = new Map<string, Map<string, object>>()

  const write: Entries["write"] = (payload) =>
    consul.call("write", (api) => api.config.write({ query: {}, payload })).pipe(
      Attempt.orFail(`write ${payload.Kind}/${payload.Name}`),
      Effect.asVoid,
      Attempt.inRealTime
    )

  const intend = Effect.fnUntraced(function*(source: string, destination: string, rule: object) {
    const sources = intentions.get(destination) ?? new Map<string, object>()
    intentions.set(destination, sources.set(source, { Name: source, ...rule }))
    // What is left out counts as undefined, which JSON does not have.
    const Sources: Schema.Json = JSON.parse(JSON.stringify([...sources.values()]))
    const attempted = `intentions for ${destination}`
    yield* write({ Kind: "service-intentions", Name: destination, Sources })
    const { body } = yield* consul.call(
      "match",
      (api) => api.connect.matchIntentions({ query: { by: "destination", name: [destination] } })
    ).pipe(Attempt.orFail(attempted))
    const expected = [...body[destination] ?? []].sort(Intention.compare)
    const member = joined.get(destination)
    if (member === undefined) return
    yield* Attempt.heard(
      attempted,
      Context.get(member, Intentions.Intentions).changes,
      ({ intentions }) => Equal.equals(intentions, expected)
    )
  }, Attempt.inRealTime)

  return { write, intend }
}
