/** `/v1/connect/…` */
import { DateTime, Effect, Equal, Schema } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { randomUUID } from "node:crypto"
import { Permission, ServiceIntentions, Source } from "../../consul/config/ServiceIntentions.ts"
import * as CertificateAuthority from "../../consul/CertificateAuthority.ts"
import * as ConnectApi from "../../consul/ConnectApi.ts"
import { ConsulApi } from "../../consul/ConsulApi.ts"
import * as Intention from "../../intention/Intention.ts"
import type * as AgentState from "../AgentState.ts"
import * as AuthorizeView from "../AuthorizeView.ts"
import * as BlockingRead from "../BlockingRead.ts"
import * as EntrySet from "../chain/EntrySet.ts"
import * as ConfigEntries from "../config/ConfigEntries.ts"
import * as DecodeEntry from "../config/DecodeEntry.ts"
import * as IntentionName from "../IntentionName.ts"
import * as IntentionView from "../IntentionView.ts"
import * as Answer from "./Answer.ts"

export const layer = (state: AgentState.AgentState) =>
  HttpApiBuilder.group(ConsulApi, "connect", (handlers) =>
    handlers
      .handleRaw("caRoots", ({ query, request }) => caRoots(state, query, request))
      .handle("caConfiguration", () => Effect.succeed(Answer.plain(state.roots.configuration())))
      .handleRaw("setCaConfiguration", ({ request }) =>
        Effect.gen(function*() {
          const update = yield* Answer.body(request, ConfigurationUpdate, { snakeCase: false })
          yield* state.roots.configure(update)
          return Answer.done
        }))
      .handle("intentions", ({ query }) =>
        Effect.gen(function*() {
          const keep = yield* Answer.filter(query.filter, Intention.Intention)
          const answer = yield* BlockingRead.read(state.store, Answer.blocking(query), {
            topics: ConfigEntries.topics,
            read: () => IntentionView.list(state.config.all()).filter(keep)
          })
          return Answer.indexed(answer)
        }))
      .handleRaw("createIntention", ({ request }) => createIntention(state, request))
      .handle("matchIntentions", ({ query }) => matchIntentions(state, query))
      .handle("checkIntention", ({ query }) =>
        Effect.gen(function*() {
          const { destination, source } = yield* edge(query)
          const type = query["source-type"]
          if (type !== undefined && type !== "" && type !== "consul") {
            return yield* Answer.internal(`unsupported SourceType: ${JSON.stringify(type)}`)
          }
          return Answer.plain({ Allowed: AuthorizeView.check(state, source.service, destination.service) })
        }))
      .handle("intention", ({ query }) => readIntention(state, query))
      .handleRaw("setIntention", ({ query, request }) => setIntention(state, query, request))
      .handle("deleteIntention", ({ query }) => deleteIntention(state, query))
      .handle("intentionById", ({ params }) =>
        Effect.gen(function*() {
          if (params.id.length !== 36) {
            return yield* Answer.badRequest("failed config entry lookup: index error: UUID must be 36 characters")
          }
          const found = IntentionView.byId(state.config.all(), params.id)
          return found === undefined ? yield* Answer.notFound("Intention not found") : Answer.plain(found)
        })))

interface EdgeQuery {
  readonly source?: string
  readonly destination?: string
}

interface WaitQuery {
  readonly index?: bigint
  readonly wait?: string
}

const caRoots = Effect.fnUntraced(function*(
  state: AgentState.AgentState,
  query: WaitQuery,
  request: HttpServerRequest.HttpServerRequest
) {
  const pem = new URL(request.url, "http://agent").searchParams.get("pem")
  if (pem !== null && !/^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(pem)) {
    return yield* Answer.badRequest("The 'pem' query parameter must be a boolean value")
  }
  const answer = yield* BlockingRead.read(state.store, Answer.blocking(query), {
    topics: ["roots"],
    read: state.roots.list
  })
  const indexed = Answer.indexed(answer)
  return pem === null || /^[0fF]/.test(pem) ? indexed : HttpServerResponse.text(state.roots.pem(), {
    contentType: "application/pem-certificate-chain",
    headers: Object.fromEntries(Object.entries(indexed.headers).map(([name, value]) => [name, String(value)]))
  })
})

const createIntention = Effect.fnUntraced(function*(
  state: AgentState.AgentState,
  request: HttpServerRequest.HttpServerRequest
) {
  const created = yield* Answer.body(request, ConnectApi.IntentionCreate, { snakeCase: false }).pipe(
    Effect.mapError(({ body }) =>
      Answer.internal(body.replace(/^Request decode failed/, "Failed to decode request body"))
    )
  )
  if (created.Action !== "allow" && created.Action !== "deny") {
    return yield* Answer.internal(DecodeEntry.errors(["Action must be set to 'allow' or 'deny'"]))
  }
  const destination = created.DestinationName
  const before = EntrySet.intentions(state.config.all(), destination)
  if (before?.Sources.some(({ LegacyID }) => LegacyID === "") === true) {
    return yield* Answer.internal(
      `cannot use legacy intention API to edit intentions with a destination of ${JSON.stringify(destination)} ` +
        "after editing them via a service-intentions config entry"
    )
  }
  const now = DateTime.formatIso(yield* DateTime.now)
  const id = randomUUID()
  yield* write(state, {
    ...emptyEntry(destination),
    ...before,
    Sources: [
      ...(before?.Sources ?? []),
      Source.make({
        Name: created.SourceName,
        Action: created.Action,
        Type: created.SourceType ?? "",
        Description: created.Description ?? "",
        LegacyID: id,
        LegacyMeta: created.Meta ?? {},
        LegacyCreateTime: now,
        LegacyUpdateTime: now
      })
    ]
  })
  return Answer.plain({ ID: id })
})

const matchIntentions = Effect.fnUntraced(function*(
  state: AgentState.AgentState,
  query: WaitQuery & { readonly by?: string; readonly name?: ReadonlyArray<string>; readonly cached?: boolean }
) {
  const by = yield* required("by", query.by)
  if (by !== "source" && by !== "destination") {
    return yield* Answer.internal("'by' parameter must be one of 'source' or 'destination'")
  }
  const names = query.name ?? []
  if (names.length === 0) return yield* Answer.internal("required query parameter 'name' not set")
  const parsed = yield* Effect.forEach(names, (name) =>
    Effect.map(
      Effect.fromResult(IntentionName.parse("name", name)).pipe(Effect.mapError(Answer.internal)),
      (found) => [name, found] as const
    ))
  const foreign = parsed.find(([, { namespace }]) => namespace !== "default")?.[1]
  if (foreign !== undefined) {
    return yield* Answer.internal(
      `Invalid match entry namespace ${JSON.stringify(foreign.namespace)}: Namespaces is a Consul Enterprise ` +
        "feature"
    )
  }
  const answer = yield* BlockingRead.read(state.store, Answer.blocking(query), {
    topics: ConfigEntries.topics,
    read: () =>
      Object.fromEntries(
        parsed.map(([name, { service }]) => [name, IntentionView.match(state.config.all(), by, service)])
      ),
    // The index is that of all config entries.
    suppress: (before, after) => Equal.equals(before, after)
  })
  return Answer.consistent(answer, query)
})

const readIntention = Effect.fnUntraced(function*(
  state: AgentState.AgentState,
  query: EdgeQuery
) {
  const { destination, source } = yield* edge(query)
  const foreign = source.namespace !== "default" ? source : destination
  if (foreign.namespace !== "default") {
    return yield* Answer.internal(
      `Invalid ${foreign === source ? "Source" : "Destination"}NS ${JSON.stringify(foreign.namespace)}: ` +
        "Namespaces is a Consul Enterprise feature"
    )
  }
  const found = IntentionView.exact(state.config.all(), source.service, destination.service, source.peer)
  return found === undefined ? yield* Answer.notFound("Intention not found") : Answer.plain(found)
})

const setIntention = Effect.fnUntraced(function*(
  state: AgentState.AgentState,
  query: EdgeQuery,
  request: HttpServerRequest.HttpServerRequest
) {
  const { destination, source } = yield* edge(query)
  if (source.peer !== "") {
    return yield* Answer.internal(
      `source ${JSON.stringify(query.source)} is invalid: cannot specify a peer here`
    )
  }
  const upsert = yield* Answer.body(request, Upsert, { snakeCase: false })
  if (Object.keys(upsert.Meta ?? {}).length > 0) return yield* Answer.internal("Meta must not be specified")
  const before = EntrySet.intentions(state.config.all(), destination.service)
  const kept = before?.Sources.filter(({ Name, Peer }) => Name !== source.service || Peer !== "") ?? []
  yield* write(state, {
    ...emptyEntry(destination.service),
    ...before,
    Sources: [
      ...kept,
      Source.make({
        Name: source.service,
        Action: upsert.Action ?? "",
        Permissions: upsert.Permissions ?? [],
        Type: upsert.SourceType ?? "",
        Description: upsert.Description ?? ""
      })
    ]
  })
  return Answer.plain(true)
})

const deleteIntention = Effect.fnUntraced(function*(
  state: AgentState.AgentState,
  query: EdgeQuery
) {
  const { destination, source } = yield* edge(query)
  const before = EntrySet.intentions(state.config.all(), destination.service)
  if (before === undefined) return Answer.plain(true)
  const kept = before.Sources.filter(({ Name, Peer }) => Name !== source.service || Peer !== source.peer)
  if (kept.length === before.Sources.length) return Answer.plain(true)
  if (kept.length > 0) yield* write(state, { ...before, Sources: kept })
  else {
    yield* Effect.mapError(
      Effect.fromResult(state.config.remove("service-intentions", before.Name)),
      (text) => Answer.internal(text)
    )
  }
  return Answer.plain(true)
})

const required = (name: string, value: string | undefined) =>
  value === undefined ? Answer.internal(`required query parameter '${name}' not set`) : Effect.succeed(value)

/** The names of the one intention that a query is about. */
const edge = Effect.fnUntraced(function*(query: EdgeQuery) {
  const source = yield* parse("source", yield* required("source", query.source))
  const destination = yield* parse("destination", yield* required("destination", query.destination))
  return { source, destination }
})

const write = ({ config }: AgentState.AgentState, entry: ServiceIntentions) =>
  Effect.mapError(Effect.fromResult(config.write(entry)), (text) => Answer.internal(text))

const parse = (parameter: string, text: string) =>
  Effect.mapError(Effect.fromResult(IntentionName.parse(parameter, text)), Answer.internal)

const emptyEntry = (destination: string): ServiceIntentions =>
  ServiceIntentions.make({ Kind: "service-intentions", Name: destination })

const Upsert = ConnectApi.IntentionUpsert.mapFields((fields) => ({
  ...fields,
  Permissions: Schema.optionalKey(Schema.Array(Permission))
}))

/** What a read of the configuration shows may be sent back. */
const ConfigurationUpdate = CertificateAuthority.ConfigurationUpdate.mapFields((fields) => ({
  ...fields,
  CreateIndex: Schema.optionalKey(Schema.Finite),
  ModifyIndex: Schema.optionalKey(Schema.Finite)
}))
