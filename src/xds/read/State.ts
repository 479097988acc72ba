/**
 * What the control plane has said so far, resource by resource. One that is not understood does not take the place of the one before,
 * and is named; where it is the public listener, nobody is let in from then on.
 */
import * as Assignment from "./Assignment.ts"
import * as Cluster from "./Cluster.ts"
import * as Fields from "./Fields.ts"
import * as Listener from "./Listener.ts"
import * as Routes from "./Routes.ts"

export interface State {
  readonly clusters: ReadonlyMap<string, Cluster.Cluster>
  readonly assignments: ReadonlyMap<string, ReadonlyArray<Assignment.Instance>>
  readonly listeners: ReadonlyMap<string, Listener.Listener>
  readonly routes: ReadonlyMap<string, Routes.Routes>
  /** What is not understood, by resource. */
  readonly flaws: ReadonlyMap<string, ReadonlyArray<string>>
  /** The public listener, as it is now, is not understood. */
  readonly closed: boolean
}

export const empty: State = {
  clusters: new Map(),
  assignments: new Map(),
  listeners: new Map(),
  routes: new Map(),
  flaws: new Map(),
  closed: false
}

/** The kinds of resources, in the order in which they are asked for. */
export type Kind = "clusters" | "assignments" | "listeners" | "routes"

export const types: Readonly<Record<Kind, string>> = {
  clusters: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  assignments: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  listeners: "type.googleapis.com/envoy.config.listener.v3.Listener",
  routes: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
}

export interface Resource {
  readonly name: string
  readonly json: Fields.Json
  /** What could not be decoded. */
  readonly unknown: ReadonlyArray<string>
}

export interface Applied {
  readonly state: State
  /** What of this is not understood. */
  readonly flaws: ReadonlyArray<string>
}

export const apply = (
  state: State,
  kind: Kind,
  changed: ReadonlyArray<Resource>,
  removed: ReadonlyArray<string>
): Applied => {
  const kept: Map<string, unknown> = new Map<string, unknown>(state[kind])
  const flaws = new Map(state.flaws)
  const said: Array<string> = []
  let closed = state.closed
  for (const name of removed) {
    kept.delete(name)
    flaws.delete(keyOf(kind, name))
    if (kind === "listeners" && isPublic(name)) closed = true
  }
  for (const { json, name, unknown } of changed) {
    const read = readers[kind](`the ${words[kind]} ${name}`, json)
    const wrong = [...unknown.map((what) => `the ${words[kind]} ${name}: ${what}`), ...read.flaws]
    if (kind === "listeners" && isPublic(name)) closed = wrong.length > 0
    if (wrong.length === 0 && read.value !== undefined) {
      kept.set(name, read.value)
      flaws.delete(keyOf(kind, name))
    } else {
      flaws.set(keyOf(kind, name), wrong)
      said.push(...wrong)
    }
  }
  return { state: { ...state, [kind]: kept, flaws, closed }, flaws: said }
}

/** Whether the resource, as it was last sent, is in force. */
export const isUnderstood = (state: State, kind: Kind, name: string): boolean =>
  state[kind].has(name) && !state.flaws.has(keyOf(kind, name))

const keyOf = (kind: Kind, name: string): string => `${kind} ${name}`

const isPublic = (name: string): boolean => name.startsWith("public_listener:")

const words: Readonly<Record<Kind, string>> = {
  clusters: "cluster",
  assignments: "instances of",
  listeners: "listener",
  routes: "routes of"
}

const readers: Readonly<Record<Kind, (path: string, json: Fields.Json) => Fields.Read<unknown>>> = {
  clusters: (path, json) => Fields.read(path, json, Cluster.read),
  assignments: (path, json) =>
    Fields.read(path, json, (fields) => {
      fields.skip("@type")
      return Assignment.read(fields)
    }),
  listeners: (path, json) => Fields.read(path, json, Listener.read),
  routes: (path, json) => Fields.read(path, json, Routes.read)
}

/** The names of what is told apart from its parent, and has to be asked for. */
export const wanted = (state: State): Readonly<Record<"assignments" | "routes", ReadonlySet<string>>> => ({
  assignments: new Set(
    [...state.clusters.values()].flatMap(({ members }) => members._tag === "Followed" ? [members.assignment] : [])
  ),
  routes: new Set([...state.listeners.values()].flatMap(({ to }) => to._tag === "Named" ? [to.name] : []))
})
