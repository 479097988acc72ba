/** The cast of the recordings, on ports of our own: who is there, what is registered, and what each port is called. */
import { Effect, Schema } from "effect"
import * as Json from "./Json.ts"
import * as Ports from "./Ports.ts"
import * as Recording from "./Recording.ts"

const Instance = Schema.Struct({
  id: Schema.String,
  service: Schema.String,
  app: Schema.Finite,
  sidecar: Schema.Finite,
  meta: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  tags: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Nothing listens where its application should be. */
  appDown: Schema.optionalKey(Schema.Boolean),
  /** Nothing of the mesh listens where its sidecar should be. */
  sidecarDown: Schema.optionalKey(Schema.Boolean),
  /** In place of its sidecar something accepts and never says a word. */
  silent: Schema.optionalKey(Schema.Boolean)
})
export interface Instance extends Schema.Schema.Type<typeof Instance> {}

const File = Schema.Struct({
  instances: Schema.Array(Instance),
  upstreams: Schema.Record(Schema.String, Schema.Finite),
  exposed: Schema.Finite,
  config: Schema.Array(Schema.JsonObject)
})

const decode = Schema.decodeUnknownSync(File)

export interface Topology {
  readonly instances: ReadonlyArray<Instance>
  /** Where the sidecar of the client listens for each service. */
  readonly upstreams: Readonly<Record<string, number>>
  /** Where a path of an application is exposed to those outside the mesh. */
  readonly exposed: number
  /** The entries that every scenario starts from. */
  readonly config: ReadonlyArray<Schema.JsonObject>
  /** What the recordings call a port. */
  readonly names: ReadonlyMap<number, string>
  /** An entry of a recording, with our ports in place of those. */
  readonly renumber: (entry: Schema.JsonObject) => Schema.JsonObject
}

/** Takes ports for everybody who needs one. */
export const make: Effect.Effect<Topology> = Effect.gen(function*() {
  const recorded = decode(Recording.read("topology.json"))
  const old = [
    ...recorded.instances.flatMap(({ app, sidecar }) => [app, sidecar]),
    ...Object.values(recorded.upstreams),
    recorded.exposed
  ]
  const free = yield* Ports.free(old.length)
  const ours = new Map(old.map((port, i) => [port, free[i]!]))
  const port = (old: number): number => ours.get(old) ?? old
  const instances = recorded.instances.map((it) => ({ ...it, app: port(it.app), sidecar: port(it.sidecar) }))
  const upstreams = Object.fromEntries(Object.entries(recorded.upstreams).map(([name, old]) => [name, port(old)]))
  return {
    instances,
    upstreams,
    exposed: port(recorded.exposed),
    config: recorded.config,
    names: new Map([
      ...instances.flatMap(({ app, id, sidecar }) => [[app, `<app:${id}>`], [sidecar, `<sidecar:${id}>`]] as const),
      ...Object.entries(upstreams).map(([service, port]) => [port, `<upstream:${service}>`] as const)
    ]),
    renumber: (entry) => renumbered(entry, ours)
  }
})

const renumbered = (entry: Schema.JsonObject, ours: ReadonlyMap<number, number>): Schema.JsonObject =>
  Object.fromEntries(Object.entries(entry).map(([key, value]) => [key, renumberedValue(value, ours)]))

const renumberedValue = (value: Schema.Json, ours: ReadonlyMap<number, number>): Schema.Json =>
  typeof value === "number"
    ? ours.get(value) ?? value
    : Json.isArray(value)
    ? value.map((item) => renumberedValue(item, ours))
    : Json.isObject(value)
    ? renumbered(value, ours)
    : value
