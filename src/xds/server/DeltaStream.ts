/**
 * One delta stream of aggregated discovery, without a socket: requests and resources go in, responses come out.
 *
 *     clusters ─▶ endpoints ─▶ secrets ─▶ listeners ─▶ routes ─▶ clusters that are gone
 *
 * What is referred to is sent before what refers to it, and taken away after (*make before break*): listeners and routes wait
 * until everything about clusters is answered. Of each kind one response is under way at most.
 *
 * - A client that has a version is not sent it again: it says at first which versions it has, and acknowledges the others.
 * - What it has refused is not sent again until it is another version. Of what it refused together the halves are sent again, and
 *   theirs, until only what is to blame is refused: an Envoy may stop looking at a response where it finds the first fault.
 * - Asking again for what one has means to have lost it, and a changed cluster or listener asks anew for its endpoints or routes.
 *
 * @see https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol
 */
import type * as Discovery from "../proto/Discovery.ts"
import * as Resources from "../Resources.ts"

/** What is worth a line in a log. */
export type News =
  | { readonly _tag: "Acknowledged"; readonly kind: Resources.Kind; readonly count: number }
  | {
    readonly _tag: "Refused"
    readonly kind: Resources.Kind
    readonly names: ReadonlyArray<string>
    readonly why: string
  }
  | { readonly _tag: "UnknownKind"; readonly typeUrl: string }

export interface DeltaStream {
  readonly receive: (request: Discovery.DeltaRequest) => ReadonlyArray<News>
  /** From now on these hold. */
  readonly update: (resources: Resources.Resources) => void
  /** The next response that may be sent, which then counts as sent. */
  readonly next: () => Discovery.DeltaResponse | undefined
  /** Whether everything is sent and answered. */
  readonly isSettled: () => boolean
}

interface Sent {
  readonly nonce: string
  readonly resources: ReadonlyArray<Resources.Resource>
  readonly removed: ReadonlyArray<string>
  /** What its receiver needs once more all the same. */
  readonly again: Set<string>
}

/** What a client has asked for and got of one kind. */
interface Subscription {
  /** Everything, whatever it is called. */
  wildcard: boolean
  readonly names: Set<string>
  /** What it has, by name. Absent: nothing, or what it is to get again. */
  readonly has: Map<string, string>
  /** What it would not take by itself, by name. */
  readonly refused: Map<string, string>
  /** Names that it would not take with others, each of these parts to be sent by itself. */
  apart: ReadonlyArray<ReadonlySet<string>>
  /** Names that it asked for and that are known not to exist. */
  readonly absent: Set<string>
  sent: Sent | undefined
}

/** In place of a version: it has one or none, there is no telling. */
const untold = ""

/** Kinds that may be asked for as a whole. */
const whole: ReadonlySet<Resources.Kind> = new Set(["cluster.Cluster", "listener.Listener"])

const childOf: Partial<Record<Resources.Kind, Resources.Kind>> = {
  "cluster.Cluster": "endpoint.ClusterLoadAssignment",
  "listener.Listener": "route.RouteConfiguration"
}

const isChild = (kind: Resources.Kind): boolean => Object.values(childOf).includes(kind)

const kindOf = new Map(Resources.kinds.map((kind) => [Resources.typeUrls[kind], kind]))

type Part = "put" | "remove"

interface Stage {
  readonly kind: Resources.Kind
  readonly parts: ReadonlyArray<Part>
  /** Everything of these has to be answered first. */
  readonly after: ReadonlyArray<Resources.Kind>
}

/** Children never wait for an answer to their parents: an Envoy answers only when it has them. */
const stages: ReadonlyArray<Stage> = [
  { kind: "cluster.Cluster", parts: ["put"], after: [] },
  { kind: "endpoint.ClusterLoadAssignment", parts: ["put", "remove"], after: [] },
  { kind: "tls.Secret", parts: ["put", "remove"], after: [] },
  {
    kind: "listener.Listener",
    parts: ["put", "remove"],
    after: ["cluster.Cluster", "endpoint.ClusterLoadAssignment", "tls.Secret"]
  },
  {
    kind: "route.RouteConfiguration",
    parts: ["put", "remove"],
    after: ["cluster.Cluster", "endpoint.ClusterLoadAssignment"]
  },
  {
    kind: "cluster.Cluster",
    parts: ["remove"],
    after: ["endpoint.ClusterLoadAssignment", "listener.Listener", "route.RouteConfiguration"]
  }
]

export const make = (): DeltaStream => {
  const subscriptions = new Map<Resources.Kind, Subscription>()
  /** Children of what was sent before they were asked for. */
  const expected = new Set<string>()
  let resources: Resources.Resources | undefined
  let nonces = 0

  const response = (kind: Resources.Kind, parts: ReadonlyArray<Part>) => {
    const subscription = subscriptions.get(kind)
    if (subscription === undefined || resources === undefined) return undefined
    const put = parts.includes("put") ? part(subscription, changed(subscription, resources[kind])) : []
    const removed = parts.includes("remove") ? gone(kind, subscription, resources[kind]) : []
    return put.length + removed.length === 0 ? undefined : { put, removed, subscription }
  }

  /** A parent that is new to its receiver asks anew for its children, without saying so where it has asked before. */
  const renew = (parent: Resources.Kind, sent: ReadonlyArray<Resources.Resource>) => {
    const kind = childOf[parent]
    if (kind === undefined) return
    const subscription = subscriptions.get(kind)
    for (const name of sent.flatMap(({ children }) => children)) {
      if (subscription === undefined) expected.add(name)
      subscription?.has.delete(name)
      subscription?.sent?.again.add(name)
    }
  }

  return {
    receive: (request) => {
      const kind = kindOf.get(request.type_url ?? "")
      if (kind === undefined) return [{ _tag: "UnknownKind", typeUrl: request.type_url ?? "" }]
      const known = subscriptions.get(kind)
      const subscription = known ?? fresh(request)
      if (known === undefined) {
        subscriptions.set(kind, subscription)
        if (isChild(kind)) { for (const name of expected) subscription.has.delete(name) }
      }
      const news = answered(kind, subscription, request)
      subscribe(kind, subscription, request, known === undefined)
      return news
    },
    update: (next) => {
      resources = next
      for (const subscription of subscriptions.values()) subscription.absent.clear()
    },
    next: () => {
      for (const { after, kind, parts } of stages) {
        if ([kind, ...after].some((each) => subscriptions.get(each)?.sent !== undefined)) continue
        const found = response(kind, parts)
        if (found === undefined) continue
        const nonce = String(++nonces)
        found.subscription.sent = { nonce, resources: found.put, removed: found.removed, again: new Set() }
        renew(kind, found.put)
        for (const name of found.removed) found.subscription.absent.add(name)
        const typeUrl = Resources.typeUrls[kind]
        return {
          typeUrl,
          nonce,
          systemVersion: "",
          removed: found.removed,
          resources: found.put.map(({ bytes, name, version }) => ({ name, version, typeUrl, bytes }))
        }
      }
      return undefined
    },
    isSettled: () =>
      resources !== undefined &&
      stages.every(({ kind, parts }) =>
        subscriptions.get(kind)?.sent === undefined && response(kind, parts) === undefined
      )
  }
}

const fresh = (request: Discovery.DeltaRequest): Subscription => ({
  wildcard: false,
  names: new Set(),
  has: new Map(Object.entries(request.initial_resource_versions ?? {})),
  refused: new Map(),
  apart: [],
  absent: new Set(),
  sent: undefined
})

/** A stale nonce is of a response before the last one, or of another stream: it says nothing. */
const answered = (
  kind: Resources.Kind,
  subscription: Subscription,
  request: Discovery.DeltaRequest
): ReadonlyArray<News> => {
  const { sent } = subscription
  if (sent === undefined || request.response_nonce !== sent.nonce) return []
  subscription.sent = undefined
  subscription.apart = subscription.apart.filter((names) => !sent.resources.some(({ name }) => names.has(name)))
  for (const name of sent.removed) subscription.has.delete(name)
  if (request.error_detail === undefined) {
    for (const { name, version } of sent.resources) {
      subscription.refused.delete(name)
      if (!sent.again.has(name) && wants(subscription, name)) subscription.has.set(name, version)
    }
    return [{ _tag: "Acknowledged", kind, count: sent.resources.length + sent.removed.length }]
  }
  const names = sent.resources.map(({ name }) => name)
  for (const { name, version } of sent.resources) {
    if (names.length === 1) subscription.refused.set(name, version)
    // It may have taken any of the others.
    if (wants(subscription, name)) subscription.has.set(name, untold)
  }
  if (names.length > 1) {
    const half = Math.ceil(names.length / 2)
    subscription.apart = [new Set(names.slice(0, half)), new Set(names.slice(half)), ...subscription.apart]
  }
  return [{
    _tag: "Refused",
    kind,
    names,
    why: request.error_detail.message ?? ""
  }]
}

const subscribe = (
  kind: Resources.Kind,
  subscription: Subscription,
  request: Discovery.DeltaRequest,
  isFirst: boolean
): void => {
  const wanted = request.resource_names_subscribe ?? []
  if (isFirst && wanted.length === 0 && whole.has(kind)) subscription.wildcard = true
  for (const name of wanted) {
    if (name === "*") subscription.wildcard = true
    else {
      // It has lost what it had, unless it says in the same breath that it has it.
      if (!isFirst) subscription.has.delete(name)
      subscription.refused.delete(name)
      subscription.absent.delete(name)
      subscription.names.add(name)
    }
  }
  for (const name of request.resource_names_unsubscribe ?? []) {
    if (name === "*") subscription.wildcard = false
    subscription.names.delete(name)
    if (!subscription.wildcard) subscription.has.delete(name)
    subscription.refused.delete(name)
  }
}

const wants = ({ names, wildcard }: Subscription, name: string): boolean => wildcard || names.has(name)

const changed = (
  subscription: Subscription,
  all: ReadonlyMap<string, Resources.Resource>
): ReadonlyArray<Resources.Resource> => {
  const candidates = subscription.wildcard
    ? all.values()
    : [...subscription.names].flatMap((name) => all.get(name) ?? [])
  return [...candidates].filter(({ name, version }) =>
    subscription.has.get(name) !== version && subscription.refused.get(name) !== version
  )
}

/** All, unless some have to be apart from others. */
const part = (
  { apart }: Subscription,
  all: ReadonlyArray<Resources.Resource>
): ReadonlyArray<Resources.Resource> => {
  for (const names of apart) {
    const some = all.filter(({ name }) => names.has(name))
    if (some.length > 0) return some
  }
  return all
}

/** What it has and is no more, and what it waits for in vain. Children go with their parents. */
const gone = (
  kind: Resources.Kind,
  subscription: Subscription,
  all: ReadonlyMap<string, Resources.Resource>
): ReadonlyArray<string> => [
  ...(isChild(kind) ? [] : [...subscription.has.keys()].filter((name) => !all.has(name) && wants(subscription, name))),
  ...[...subscription.names].filter((name) =>
    !all.has(name) && !subscription.has.has(name) && !subscription.absent.has(name)
  )
]
