/** Everything about policy that an agent, or its servers, have stored, and whether that is all there is. */
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import * as CompleteAnswer from "../../consul/CompleteAnswer.ts"
import * as ConsulClient from "../../consul/ConsulClient.ts"
import * as ConsulError from "../../consul/ConsulError.ts"
import * as DefaultPolicy from "../../consul/DefaultPolicy.ts"
import * as Completeness from "../../policy/source/Completeness.ts"
import type * as Entries from "../../policy/source/Entries.ts"

export interface Stored {
  readonly sources: ReadonlyArray<Entries.Source>
  readonly services: ReadonlyArray<string>
  readonly defaultPolicy: DefaultPolicy.DefaultPolicy | undefined
  /** In sentences. Empty: this is all there is. */
  readonly missing: ReadonlyArray<string>
}

type Client = ConsulClient.ConsulClient["Service"]

/** The kinds that a policy is made of. What of a kind no right hides has no part. */
const kinds: ReadonlyArray<{ readonly kind: string; readonly part?: Completeness.Part }> = [
  { kind: "service-intentions", part: "intentions" },
  { kind: "service-defaults", part: "protocols" },
  { kind: "jwt-provider", part: "providers" },
  { kind: "proxy-defaults" },
  { kind: "mesh" }
]

/** Reading ends when two times agree, and after so many in any case. */
const times = 5

/** `names` are services that exist, besides those of the catalog: if their intentions are hidden, that is said by name. */
export const read = Effect.fnUntraced(function*(names: ReadonlyArray<string>) {
  const consul = yield* ConsulClient.ConsulClient
  let before = yield* once(consul)
  let now = yield* once(consul)
  for (let time = 2; time < times && now.content !== before.content; time++) {
    before = now
    now = yield* once(consul)
  }
  const { catalog, denied, filtered, lists, reader, self } = now
  const isHidden = filtered.has("intentions") || denied.has("intentions")
  const hidden = isHidden ? yield* hiddenOf(consul, new Set([...names, ...catalog])) : []
  return {
    sources: lists.flatMap(({ body, request }) =>
      body.length === 0
        ? []
        : [{ file: `${request} at ${consul.address}`, text: JSON.stringify(body, null, 2), stored: true }]
    ),
    services: catalog,
    defaultPolicy: self.defaultPolicy,
    missing: Completeness.missing({
      reader,
      version: self.version,
      filtered,
      denied,
      hidden,
      settled: now.content === before.content
    })
  } satisfies Stored
})

/**
 * One reading. Two with the same content, one after the other, are of one state: each list was the same at both times, indexes
 * included, so all of them were in between.
 */
const once = Effect.fnUntraced(function*(consul: Client) {
  const nobody = `~${randomUUID()}`
  const [lists, probes, { body, headers }, asReader, self] = yield* Effect.all([
    Effect.forEach(kinds, ({ kind, part }) => list(consul, kind, part), { concurrency: "unbounded" }),
    Effect.forEach(
      kinds,
      ({ kind, part }) =>
        part === undefined ? Effect.succeed([]) : Effect.map(mayRead(consul, kind, nobody), (may) => may ? [] : [part]),
      {
        concurrency: "unbounded"
      }
    ),
    consul.call("GET /v1/catalog/services", (api) => api.catalog.services({ query: { consistent: true } })),
    readerOf(consul),
    selfOf(consul)
  ], { concurrency: "unbounded" })
  const filtered = new Set<Completeness.Part>([
    ...lists.flatMap(({ isFiltered, part }) => isFiltered && part !== undefined ? [part] : []),
    ...(CompleteAnswer.isFiltered(headers) ? ["services" as const] : [])
  ])
  const catalog = Object.keys(body).filter((name) => name !== "consul" && !name.endsWith("-sidecar-proxy")).sort()
  const denied = new Set(probes.flat())
  // That this agent has no ACLs says nothing about another datacenter.
  const isElsewhere = consul.datacenter !== undefined && consul.datacenter !== self.datacenter
  const reader: Reader = asReader === "anybody" && isElsewhere ? "anonymous" : asReader
  return {
    lists,
    catalog,
    reader,
    self,
    filtered,
    denied,
    content: JSON.stringify([lists, catalog, reader, self, [...filtered], [...denied]])
  }
})

const list = (consul: Client, kind: string, part: Completeness.Part | undefined) => {
  const request = `GET /v1/config/${kind}`
  return consul.call(request, (api) => api.config.list({ params: { kind }, query: { consistent: true } })).pipe(
    Effect.map(({ body, headers }) => ({
      request,
      part,
      body,
      index: String(headers["x-consul-index"]),
      isFiltered: CompleteAnswer.isFiltered(headers)
    })),
    Effect.catchIf(
      isUnknownKind,
      () => Effect.succeed({ request, part, body: [], index: "none", isFiltered: false })
    )
  )
}

/** An older agent does not have the kind, and so nothing of it. */
const isUnknownKind = ({ reason }: ConsulError.ConsulError): boolean =>
  "body" in reason && reason.body.includes("invalid config entry kind")

/** Whether the token may read the entry of this name, which need not be there. */
const mayRead = (consul: Client, kind: string, name: string): Effect.Effect<boolean, ConsulError.ConsulError> =>
  consul.call(`GET /v1/config/${kind}/${name}`, (api) => api.config.read({ params: { kind, name }, query: {} })).pipe(
    Effect.as(true),
    Effect.catchIf((error) => error.reason._tag === "NotFound" || isUnknownKind(error), () => Effect.succeed(true)),
    Effect.catchIf(ConsulError.isRefused, () => Effect.succeed(false))
  )

/** Of so many services, the first ones in order, it is asked whether their intentions are hidden. */
const asked = 200

const hiddenOf = (consul: Client, names: ReadonlySet<string>) =>
  Effect.filter(
    [...names].sort().slice(0, asked),
    (name) => Effect.map(mayRead(consul, "service-intentions", name), (may) => !may),
    { concurrency: 8 }
  )

/** The policy that comes with Consul and may do everything. */
const globalManagement = "00000000-0000-0000-0000-000000000001"

type Reader = Completeness.Facts["reader"]

/** Every list refuses an unknown token, so a refusal means that the token does not exist. */
const readerOf = (consul: Client): Effect.Effect<Reader, ConsulError.ConsulError> =>
  consul.call("GET /v1/acl/token/self", (api) => api.acl.tokenSelf({ query: {} })).pipe(
    Effect.map(({ body }): Reader => body.Policies.some(({ ID }) => ID === globalManagement) ? "management" : "token"),
    Effect.catchReason(
      "ConsulError",
      "PermissionDenied",
      ({ body }) => Effect.succeed<Reader>(body.includes("ACL support disabled") ? "anybody" : "anonymous")
    ),
    Effect.catchReason("ConsulError", "NotFound", () => Effect.succeed<Reader>("anonymous"))
  )

/** Undefined: not ours to read. */
const selfOf = (consul: Client) =>
  consul.call("GET /v1/agent/self", (api) => api.agent.self({})).pipe(
    Effect.map(({ body, headers }) => ({
      version: body.Config.Version || undefined,
      datacenter: body.Config.Datacenter,
      defaultPolicy: DefaultPolicy.of(body, headers["x-consul-default-acl-policy"], consul.datacenter)
    })),
    Effect.catchReason("ConsulError", "PermissionDenied", ({ body }) =>
      Effect.succeed({ version: versionOf(body), datacenter: undefined, defaultPolicy: undefined }))
  )

/** Agents name the missing right since 1.12. */
const versionOf = (refusal: string): string | undefined => refusal.includes("lacks permission") ? "1.12" : undefined
