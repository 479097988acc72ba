/** The config entries of an agent, moved from those of one scenario to those of the next. */
import { Effect, type Schema } from "effect"
import type * as Agent from "./Agent.ts"

/** Those that others may refer to come first, and go last. */
const order = [
  "mesh",
  "proxy-defaults",
  "jwt-provider",
  "service-defaults",
  "service-resolver",
  "service-splitter",
  "service-router",
  "service-intentions"
]

/** What refers to others goes before they change: an entry that stays could forbid their change. */
const mayRefer = new Set(["service-resolver", "service-splitter", "service-router", "service-intentions"])

const nameOf = ({ Name }: Schema.JsonObject): string => String(Name ?? "mesh")
const kindOf = ({ Kind }: Schema.JsonObject): string => String(Kind)
const keyOf = (entry: Schema.JsonObject): string => `${kindOf(entry)}/${nameOf(entry)}`

/** The base entries, with those of a scenario beside them or in their place. */
export const merged = (
  base: ReadonlyArray<Schema.JsonObject>,
  scenario: ReadonlyArray<Schema.JsonObject>
): ReadonlyArray<Schema.JsonObject> => [
  ...new Map([...base, ...scenario].map((entry) => [keyOf(entry), entry])).values()
]

export const make = (agent: Agent.Agent) => {
  let current = new Map<string, { readonly entry: Schema.JsonObject; readonly text: string }>()

  const remove = (entry: Schema.JsonObject) =>
    Effect.andThen(
      agent.ask("DELETE", `/v1/config/${kindOf(entry)}/${nameOf(entry)}`),
      Effect.sync(() => current.delete(keyOf(entry)))
    )
  const write = (entry: Schema.JsonObject) =>
    Effect.andThen(
      agent.ask("PUT", "/v1/config", entry),
      Effect.sync(() => current.set(keyOf(entry), { entry, text: JSON.stringify(entry) }))
    )

  return {
    /** From then on the agent has these and no others. Says whether anything had to change. */
    become: (wanted: ReadonlyArray<Schema.JsonObject>): Effect.Effect<boolean, Agent.AgentRefused> =>
      Effect.suspend(() => {
        const texts = new Map(wanted.map((entry) => [keyOf(entry), JSON.stringify(entry)]))
        const going = [...current.values()].filter(({ entry, text }) => {
          const next = texts.get(keyOf(entry))
          return next !== text && (next === undefined || mayRefer.has(kindOf(entry)))
        }).map(({ entry }) => entry)
        const coming = wanted.filter((entry) => current.get(keyOf(entry))?.text !== texts.get(keyOf(entry)))
        return inAnyOrder(byKind(going).toReversed(), remove).pipe(
          Effect.andThen(inAnyOrder(byKind(coming), write)),
          Effect.as(going.length + coming.length > 0)
        )
      })
  }
}

export type Entries = ReturnType<typeof make>

const byKind = (entries: ReadonlyArray<Schema.JsonObject>): Array<Schema.JsonObject> =>
  entries.toSorted((a, b) => order.indexOf(kindOf(a)) - order.indexOf(kindOf(b)))

/** Entries of one kind may refer to each other: what is refused is tried again after the rest. */
const inAnyOrder = <A>(
  entries: ReadonlyArray<Schema.JsonObject>,
  act: (entry: Schema.JsonObject) => Effect.Effect<A, Agent.AgentRefused>
): Effect.Effect<void, Agent.AgentRefused> =>
  Effect.gen(function*() {
    const refused: Array<readonly [Schema.JsonObject, Agent.AgentRefused]> = []
    for (const entry of entries) {
      yield* Effect.catch(act(entry), (error) => Effect.sync(() => refused.push([entry, error])))
    }
    const [first] = refused
    if (first === undefined) return
    if (refused.length === entries.length) return yield* first[1]
    yield* inAnyOrder(refused.map(([entry]) => entry), act)
  })
