/** `/v1/agent/…` */
import { Duration, Effect, Schema } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiSchema } from "effect/http-api"
import { createHash } from "node:crypto"
import * as AgentService from "../../consul/AgentService.ts"
import * as CertificateAuthority from "../../consul/CertificateAuthority.ts"
import { ConsulApi } from "../../consul/ConsulApi.ts"
import * as Health from "../../consul/Health.ts"
import type * as AgentState from "../AgentState.ts"
import * as AgentHealth from "../AgentHealth.ts"
import * as AuthorizeView from "../AuthorizeView.ts"
import * as BlockingRead from "../BlockingRead.ts"
import * as ConfigEntries from "../config/ConfigEntries.ts"
import * as LocalServices from "../LocalServices.ts"
import * as MergeProxy from "../MergeProxy.ts"
import * as SelfView from "../SelfView.ts"
import type * as Store from "../Store.ts"
import * as Answer from "./Answer.ts"
import * as ApiKeys from "./ApiKeys.ts"

/** How registrations may be written. */
const registered = { snakeCase: true, refuses: ApiKeys.refuses }

export const layer = (state: AgentState.AgentState) =>
  HttpApiBuilder.group(ConsulApi, "agent", (handlers) => {
    const { config, services, store } = state
    const shown = (service: AgentService.AgentService) => MergeProxy.merge(service, config.all())
    const localCheck = (check: Health.Check): Health.Check => ({ ...check, CreateIndex: 0, ModifyIndex: 0 })

    return handlers
      .handle("self", () => Effect.succeed(Answer.plain(SelfView.self(state))))
      .handle("members", () => Effect.succeed(Answer.plain([SelfView.member(state)])))
      .handle("services", ({ query }) =>
        Effect.map(Answer.filter(query.filter, AgentService.AgentService), (keep) =>
          Answer.plain(Object.fromEntries(
            [...services.list()].map(([id, service]) =>
              [id, shown(service)] as const
            ).filter(([, service]) => keep(service))
          ))))
      .handle("service", ({ params, query }) =>
        Effect.gen(function*() {
          const read = () => {
            const service = services.get(params.id)
            if (service === undefined) {
              return undefined
            }
            const merged = shown(service)
            return { ...merged, ContentHash: contentHash(merged) }
          }
          const topics: ReadonlyArray<Store.Topic> = [LocalServices.topic(params.id), ...ConfigEntries.topics]
          const wanted = yield* awaitHash(store, topics, read, query)
          return wanted === undefined
            ? yield* Answer.notFound(`unknown service ID: ${params.id}`)
            : Answer.hashed(wanted, wanted.ContentHash)
        }))
      .handle("checks", ({ query }) =>
        Effect.map(Answer.filter(query.filter, Health.Check), (keep) =>
          Answer.plain(Object.fromEntries(
            [...services.checks.list()].map(([id, check]) =>
              [id, localCheck(check)] as const
            ).filter(([, check]) =>
              keep(check)
            )
          ))))
      .handleRaw("registerService", ({ query, request }) =>
        Effect.gen(function*() {
          const registration = yield* Answer.body(request, AgentRegistration, registered)
          yield* services.register(registration, {
            replaceExistingChecks: query["replace-existing-checks"] === true
          })
          return Answer.done
        }))
      .handle("deregisterService", ({ params }) =>
        Effect.as(services.deregister(params.id), Answer.done))
      .handle("serviceMaintenance", ({ params, query }) =>
        Effect.as(services.serviceMaintenance(params.id, query.enable, query.reason ?? ""), Answer.done))
      .handle("nodeMaintenance", ({ query }) =>
        Effect.as(services.nodeMaintenance(query.enable, query.reason ?? ""), Answer.done))
      .handleRaw("registerCheck", ({ request }) =>
        Effect.gen(function*() {
          const check = yield* Answer.body(request, AgentService.CheckRegistration, registered)
          yield* services.registerCheck(check)
          return Answer.done
        }))
      .handle("deregisterCheck", ({ params }) =>
        Effect.as(services.deregisterCheck(params.checkId), Answer.done))
      .handle("passCheck", ({ params, query }) =>
        Effect.as(services.checks.report(params.checkId, { status: "passing", output: query.note ?? "" }), Answer.done))
      .handle("warnCheck", ({ params, query }) =>
        Effect.as(services.checks.report(params.checkId, { status: "warning", output: query.note ?? "" }), Answer.done))
      .handle("failCheck", ({ params, query }) =>
        Effect.as(
          services.checks.report(params.checkId, { status: "critical", output: query.note ?? "" }),
          Answer.done
        ))
      .handleRaw("updateCheck", ({ params, request }) =>
        Effect.gen(function*() {
          const { Output, Status } = yield* Answer.body(request, AgentService.CheckUpdate, { snakeCase: false })
          if (Status !== "passing" && Status !== "warning" && Status !== "critical") {
            return yield* Answer.badRequest(`Invalid check status: '${Status}'`)
          }
          yield* services.checks.report(params.checkId, { status: Status, output: (Output ?? "").slice(0, 4096) })
          return Answer.done
        }))
      .handle("serviceHealthById", ({ params, request }) =>
        Effect.gen(function*() {
          const service = services.get(params.id)
          const health = service === undefined ? undefined : AgentHealth.of(shown(service), services.checks.list())
          return healthResponse(
            request,
            health?.AggregatedStatus ?? "unknown",
            health === undefined
              ? { AggregatedStatus: "critical", Service: null, Checks: null }
              : encodeHealth(health),
            health?.AggregatedStatus ?? `ServiceId ${params.id} not found`
          )
        }))
      .handle("serviceHealthByName", ({ params, request }) =>
        Effect.gen(function*() {
          const found = [...services.list().values()].filter(({ Service }) =>
            Service === params.name
          ).map((service) =>
            AgentHealth.of(shown(service), services.checks.list())
          )
          const worst = AgentHealth.worst(found.map(({ AggregatedStatus }) =>
            AggregatedStatus
          ))
          return healthResponse(
            request,
            found.length === 0 ? "unknown" : worst,
            found.map((health) =>
              encodeHealth(health)
            ),
            found.length === 0 ? `ServiceName ${params.name} Not Found` : worst
          )
        }))
      .handle("caRoots", ({ query }) =>
        Effect.map(
          BlockingRead.read(store, { ...Answer.blocking(query), cached: { defaultWait: Duration.infinity } }, {
            topics: ["roots"],
            read: state.roots.list
          }),
          ({ index, value }) =>
            HttpApiSchema.withHeaders({ body: value, headers: Answer.indexedHit(index) })
        ))
      .handle("caLeaf", ({ params, query }) =>
        Effect.gen(function*() {
          const { cached, index, value } = yield* state.leaves.get(params.service, Answer.blocking(query))
          return HttpApiSchema.withHeaders({
            body: value,
            headers: {
              ...Answer.done.headers,
              "x-consul-index": BigInt(index),
              ...(cached ? { "x-cache": "HIT", age: 0 } : { "x-cache": "MISS" })
            }
          })
        }))
      .handleRaw("authorize", ({ request }) =>
        Effect.gen(function*() {
          const asked = yield* Answer.body(request, AuthorizeRequest, { snakeCase: false })
          const body = yield* Effect.fromResult(AuthorizeView.authorize(state, asked))
          return HttpApiSchema.withHeaders({ body, headers: Answer.hit })
        }))
  })

/** Without the required fields: a real agent says itself which one is missing. */
const AgentRegistration = AgentService.ServiceRegistration.mapFields((fields) => ({
  ...fields,
  Name: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("")))
}))
const AuthorizeRequest = CertificateAuthority.AuthorizeRequest.mapFields((fields) => ({
  ...fields,
  Target: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed(""))),
  ClientCertURI: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("")))
}))

const encodeHealth = Schema.encodeSync(AgentService.AgentHealth)

/** Sixteen digits of hex that change when the service does. */
const contentHash = (service: AgentService.AgentService): string =>
  createHash("sha256").update(JSON.stringify(Schema.encodeSync(AgentService.AgentService)(service))).digest("hex")
    .slice(0, 16)

/** Waits while the hash is the one that is known, but not for what does not exist. */
const awaitHash = <A extends { readonly ContentHash: string }>(
  store: Store.Store,
  topics: ReadonlyArray<Store.Topic>,
  read: () => A | undefined,
  query: { readonly hash?: string; readonly wait?: string }
): Effect.Effect<A | undefined> => {
  if (query.hash === undefined || query.hash === "") return Effect.sync(read)
  const next: Effect.Effect<A | undefined> = Effect.suspend(() => {
    const value = read()
    return value === undefined || value.ContentHash !== query.hash
      ? Effect.succeed(value)
      : Effect.flatMap(store.changed(topics, store.indexOf(topics)), () => next)
  })
  return Effect.flatMap(
    BlockingRead.jittered(Answer.waitOf(query) ?? BlockingRead.defaultWait),
    (duration) => Effect.timeoutOrElse(next, { duration, orElse: () => Effect.sync(read) })
  )
}

/** The status repeats what the body says; a text is the word alone. */
const healthResponse = (
  request: HttpServerRequest.HttpServerRequest,
  status: string,
  body: unknown,
  reason: string
): HttpServerResponse.HttpServerResponse => {
  const code = status === "passing" ? 200 : status === "warning" ? 429 : status === "unknown" ? 404 : 503
  const options = { status: code, headers: { "x-consul-reason": reason } }
  const asText = /[?&]format=text/.test(request.url) || (request.headers["accept"] ?? "").startsWith("text/plain")
  return asText
    ? HttpServerResponse.text(status === "unknown" ? "critical" : status, { ...options, contentType: "text/plain" })
    : HttpServerResponse.jsonUnsafe(body, options)
}
