/** Changes one intention, as `consul intention create -replace` and `consul intention delete` do, in the entry of its destination. */
import { Effect, Schema } from "effect"
import type * as ConsulClient from "../consul/ConsulClient.ts"
import type * as ConsulError from "../consul/ConsulError.ts"

export interface Change {
  readonly source: string
  readonly destination: string
  /** `remove`: whatever else covers the pair decides. */
  readonly action: "allow" | "deny" | "remove"
}

/** Somebody else changes the same entry again and again. */
export class Contended extends Schema.TaggedError<Contended>()("Contended", { destination: Schema.String }) {
  override readonly message = `somebody else changes the intentions of ${this.destination} at the same time: try again`
}

const Kind = "service-intentions"

export const apply = (
  consul: ConsulClient.ConsulClient["Service"],
  change: Change
): Effect.Effect<void, ConsulError.ConsulError | Contended> =>
  Effect.retry(once(consul, change), { times: 5, while: ({ _tag }) => _tag === "Contended" })

const once = Effect.fnUntraced(function*(
  consul: ConsulClient.ConsulClient["Service"],
  { action, destination, source }: Change
): Effect.fn.Return<void, ConsulError.ConsulError | Contended> {
  const { index, rest, sources } = yield* read(consul, destination)
  const others = sources.filter((each) => !isAbout(each, source))
  const next = action === "remove" ? others : [...others, { Name: source, Action: action }]
  if (next.length === 0 && index === 0n) return
  const { body } = next.length === 0
    ? yield* consul.call(
      `DELETE /v1/config/${Kind}`,
      (api) => api.config.delete({ params: { kind: Kind, name: destination }, query: { cas: index } })
    )
    : yield* consul.call(
      "PUT /v1/config",
      (api) => api.config.write({ query: { cas: index }, payload: { ...rest, Kind, Name: destination, Sources: next } })
    )
  if (body === false) return yield* new Contended({ destination })
})

/** With index 0 where there is none. */
const read = (consul: ConsulClient.ConsulClient["Service"], name: string) =>
  consul.call(
    `GET /v1/config/${Kind}/${name}`,
    (api) => api.config.read({ params: { kind: Kind, name }, query: {} })
  ).pipe(
    Effect.map(({ body: { CreateIndex: _created, ModifyIndex = 0, Sources, ...rest } }) => ({
      index: BigInt(ModifyIndex),
      rest,
      sources: Array.isArray(Sources) ? Sources as ReadonlyArray<Schema.Json> : []
    })),
    Effect.catchReason("ConsulError", "NotFound", () => Effect.succeed({ index: 0n, rest: {}, sources: [] }))
  )

/** A peer's service is another one, and so is a sameness group. */
const isAbout = (source: Schema.Json, name: string): boolean => {
  if (typeof source !== "object" || source === null || Array.isArray(source)) return false
  const { Name, Peer = "", SamenessGroup = "" } = source as Schema.JsonObject
  return Name === name && Peer === "" && SamenessGroup === ""
}
