/**
 * The client's side of delta ADS, without a connection: what to ask for when a stream begins, and what to answer to each response.
 *
 *     clusters  ──▶ instances of each     (asked for by name, once their clusters are known)
 *     listeners ──▶ routes of each
 *
 * A response is acknowledged, or refused with what is not understood in it. What was understood holds all the same. A no means that
 * the one before is still in force here: it is not sent again when it comes back. So the listener for callers, which closes, is
 * acknowledged; and so are clusters and instances, before which Consul sends no listener, and no change of intentions.
 *
 * What is known survives the stream: the next one tells the server which versions are here, so that it sends only what has changed.
 */
import * as State from "../read/State.ts"
import type * as Discovery from "../proto/Discovery.ts"

export interface Known {
  readonly state: State.State
  /** By kind and name. What is not understood has none, and is sent again. */
  readonly versions: Readonly<Record<State.Kind, ReadonlyMap<string, string>>>
  /** What is asked for by name on this stream. Undefined: nothing yet. */
  readonly asked: Readonly<Record<Named, ReadonlySet<string> | undefined>>
}

type Named = "assignments" | "routes"

export const nothing: Known = {
  state: State.empty,
  versions: { clusters: new Map(), assignments: new Map(), listeners: new Map(), routes: new Map() },
  asked: { assignments: undefined, routes: undefined }
}

export interface Step {
  readonly known: Known
  readonly requests: ReadonlyArray<Discovery.DeltaRequest>
  /** What of the response is not understood. */
  readonly flaws: ReadonlyArray<string>
}

export type Node = NonNullable<Discovery.DeltaRequest["node"]>

/** A new stream. */
export const begin = (known: Known, node: Node): Step => {
  const all: ReadonlyArray<Discovery.DeltaRequest> = (["clusters", "listeners"] as const).map((kind, i) => ({
    ...(i === 0 ? { node } : {}),
    type_url: State.types[kind],
    initial_resource_versions: Object.fromEntries(known.versions[kind])
  }))
  const { asked, requests } = ask({ ...known, asked: nothing.asked }, true)
  return { known: { ...known, asked }, requests: [...all, ...requests], flaws: [] }
}

export interface Response {
  readonly typeUrl: string
  readonly nonce: string
  readonly resources: ReadonlyArray<State.Resource & { readonly version: string }>
  readonly removed: ReadonlyArray<string>
}

export const receive = (before: Known, response: Response): Step => {
  const { nonce, removed, resources, typeUrl } = response
  const kind = kinds.get(typeUrl)
  if (kind === undefined) {
    const flaws = [`resources of the type ${typeUrl}, which nobody asked for`]
    return { known: before, requests: [refuse(typeUrl, nonce, flaws)], flaws }
  }
  const { flaws, state } = State.apply(before.state, kind, resources, removed)
  const versions = new Map(before.versions[kind])
  for (const name of removed) versions.delete(name)
  for (const { name, version } of resources) {
    if (State.isUnderstood(state, kind, name)) versions.set(name, version)
    else versions.delete(name)
  }
  const known = { ...before, state, versions: { ...before.versions, [kind]: versions } }
  const refuses = flaws.length > 0 && (kind === "routes" || (kind === "listeners" && !state.closed))
  const answer = !refuses ? { type_url: typeUrl, response_nonce: nonce } : refuse(typeUrl, nonce, flaws)
  const { asked, requests } = ask(known, false)
  return { known: { ...known, asked }, requests: [answer, ...requests], flaws }
}

const kinds = new Map(Object.entries(State.types).map(([kind, type]) => [type, kind as State.Kind]))

/** Asks for what is wanted now and was not before, and lets go of what is not. */
const ask = (known: Known, isNew: boolean): Pick<Known, "asked"> & Pick<Step, "requests"> => {
  const wanted = State.wanted(known.state)
  const requests: Array<Discovery.DeltaRequest> = []
  const asked = { ...known.asked }
  for (const kind of ["assignments", "routes"] as const) {
    const before = known.asked[kind]
    const more = [...wanted[kind]].filter((name) => before?.has(name) !== true)
    const less = [...before ?? []].filter((name) => !wanted[kind].has(name))
    if (more.length === 0 && less.length === 0) continue
    asked[kind] = wanted[kind]
    requests.push({
      type_url: State.types[kind],
      resource_names_subscribe: more,
      resource_names_unsubscribe: less,
      ...(isNew ? { initial_resource_versions: versionsOf(known, kind, more) } : {})
    })
  }
  return { asked, requests }
}

const versionsOf = (known: Known, kind: Named, names: ReadonlyArray<string>): Readonly<Record<string, string>> =>
  Object.fromEntries(names.flatMap((name) => {
    const version = known.versions[kind].get(name)
    return version === undefined ? [] : [[name, version]]
  }))

/** `INVALID_ARGUMENT`. Servers write the message into their log. */
const refuse = (type_url: string, response_nonce: string, flaws: ReadonlyArray<string>): Discovery.DeltaRequest => ({
  type_url,
  response_nonce,
  error_detail: { code: 3, message: `not understood: ${flaws.join("; ")}`.slice(0, 8000) }
})
