/** The admin interface of a program of several workers: each is asked, and what they say is put together. */
import { Clock, Effect, Layer, Result, Schedule, Stream } from "effect"
import { HttpClientError, type HttpClientResponse, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import * as LogThreshold from "../../observe/LogThreshold.ts"
import * as OpenMetrics from "../../observe/OpenMetrics.ts"
import * as AdminApi from "../AdminApi.ts"
import * as AdminClient from "../AdminClient.ts"
import type * as AdminServer from "../AdminServer.ts"
import type * as Documents from "../Documents.ts"
import * as ControlHandlers from "../ControlHandlers.ts"
import * as LogLevels from "../LogLevels.ts"
import * as OwnMetrics from "../OwnMetrics.ts"
import * as Exposition from "./Exposition.ts"
import * as Merge from "./Merge.ts"

export interface Options {
  /** In order. */
  readonly workers: ReadonlyArray<AdminClient.AdminClient>
  readonly status: () => ReadonlyArray<typeof Documents.Worker.Type>
}

export const source = (options: Options): AdminServer.Source => ({
  handlers: Layer.mergeAll(read(options), control(options)),
  metrics: (isOpen) =>
    Effect.zipWith(
      OwnMetrics.format(isOpen),
      ask(options, ({ metrics }) => metrics(isOpen ? OpenMetrics.contentType : undefined)),
      (own, answers) =>
        Exposition.merge([
          { worker: undefined, text: own },
          ...answers.flatMap(({ said, worker }) => Result.isSuccess(said) ? [{ worker, text: said.success }] : [])
        ])
    ),
  changesIntentions: false
})

interface Answer<A> {
  readonly worker: number
  readonly said: Result.Result<A, Silence>
}

interface Silence {
  readonly why: string
  /** What it answered instead, where it does not do what it is asked. */
  readonly refusal: { readonly status: number; readonly body: unknown } | undefined
}

/** One that has left has nothing to say. */
const ask = <A, E>(
  { status, workers }: Options,
  question: (worker: AdminClient.AdminClient) => Effect.Effect<A, E>
): Effect.Effect<ReadonlyArray<Answer<A>>> =>
  Effect.forEach(
    status().flatMap(({ state, worker }) => state === "Left" ? [] : [worker]),
    (worker) =>
      question(workers[worker - 1]!).pipe(
        Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => Effect.fail("no answer within 5 seconds") }),
        Effect.catch((error) =>
          Effect.flatMap(
            refusalOf(error),
            (refusal) => Effect.fail({ why: typeof error === "string" ? error : AdminClient.whyOf(error), refusal })
          )
        ),
        Effect.result,
        Effect.map((said): Answer<A> => ({ worker, said }))
      ),
    { concurrency: "unbounded" }
  )

const refusalOf = (error: unknown): Effect.Effect<Silence["refusal"]> => {
  const response = HttpClientError.isHttpClientError(error) ? error.response : undefined
  return response === undefined
    ? Effect.undefined
    : Effect.match(response.json, {
      onFailure: () => undefined,
      onSuccess: (body) => ({ status: response.status, body })
    })
}

type Response = HttpServerResponse.HttpServerResponse

/** Those that do not answer are left out, unless none does. */
const together = <A, B, E>(
  options: Options,
  question: (worker: AdminClient.AdminClient) => Effect.Effect<A, E>,
  merge: (all: ReadonlyArray<A>) => B
): Effect.Effect<B | Response> =>
  Effect.map(ask(options, question), (answers) => {
    const said = answers.flatMap(({ said }) => Result.isSuccess(said) ? [said.success] : [])
    if (said.length > 0) return merge(said)
    const silent = answers.flatMap(({ said, worker }) => Result.isFailure(said) ? [{ worker, ...said.failure }] : [])
    const refusal = silent.find(({ refusal }) => refusal !== undefined)?.refusal
    const error = silent.length === 0
      ? "all workers have left"
      : `no worker answers: ${silent.map(({ why, worker }) => `worker ${worker}: ${why}`).join("; ")}`
    return refusal === undefined
      ? HttpServerResponse.jsonUnsafe({ error }, { status: 503 })
      : HttpServerResponse.jsonUnsafe(refusal.body, { status: refusal.status })
  })

const readiness = (options: Options): Effect.Effect<Documents.Readiness> =>
  Effect.map(
    ask(options, ({ api }) => api.read.ready()),
    (answers) =>
      Merge.readiness(answers.map(({ said, worker }) => ({
        worker,
        said: Result.match(said, {
          onSuccess: (readiness) => readiness,
          onFailure: ({ why }) => `it does not answer: ${why}`
        })
      })))
  )

const snapshot = (options: Options, query: { readonly sidecar?: string }) =>
  Effect.gen(function*() {
    const at = yield* Clock.currentTimeMillis
    const { sidecars } = yield* readiness(options)
    return yield* together(
      options,
      ({ api }) => api.read.snapshot({ query }),
      (all) => Merge.snapshot(all, { at, sidecars, uptimeSeconds: process.uptime() })
    )
  })

const graph = (options: Options) => together(options, ({ api }) => api.read.graph(), Merge.graph)

/** One a second. A second in which nobody answers has none. */
const live = <A>(each: Effect.Effect<A | Response>): Stream.Stream<A> =>
  Stream.fromEffectSchedule(each, Schedule.spaced("1 second")).pipe(
    Stream.filter((one): one is A => !HttpServerResponse.isHttpServerResponse(one))
  )

const read = (options: Options) =>
  HttpApiBuilder.group(AdminApi.AdminApi, "read", (handlers) =>
    handlers
      .handle(
        "ready",
        () =>
          Effect.map(readiness(options), (all) => all.ready ? all : HttpServerResponse.jsonUnsafe(all, { status: 503 }))
      )
      .handle("live", () => Effect.sync(() => ({ live: true as const, uptimeSeconds: process.uptime() })))
      .handle("certificates", () => together(options, ({ api }) => api.read.certificates(), Merge.certificates))
      .handle("intentions", () => together(options, ({ api }) => api.read.intentions(), Merge.intentions))
      .handle("connections", ({ query: { limit = AdminApi.listed } }) =>
        together(
          options,
          ({ api }) => api.read.connections({ query: { limit } }),
          (all) => Merge.connections(all, limit)
        ))
      .handle("upstreams", () => together(options, ({ api }) => api.read.upstreams(), Merge.upstreams))
      .handle("routes", () => together(options, ({ api }) => api.read.routes(), ([first]) => first!))
      .handle("watches", () =>
        together(
          options,
          ({ api }) => api.read.watches(),
          (all) => ({ watches: Merge.watches(all.map(({ watches }) => watches)) })
        ))
      .handle("snapshot", ({ query }) => snapshot(options, query))
      .handle("events", ({ query }) => Effect.succeed(live(snapshot(options, query))))
      .handle("graph", () => graph(options))
      .handle("graphEvents", () => Effect.succeed(live(graph(options))))
      .handle("logging", () => Effect.map(LogThreshold.LogThreshold, LogLevels.current))
      .handle("configuration", () =>
        together(options, ({ api }) => api.read.configuration(), ([first]) => ({
          ...first!,
          pid: process.pid,
          startedAt: new Date(performance.timeOrigin).toISOString(),
          workers: options.status()
        }))))

type Asked = Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>

/** What one worker answers, as it comes. */
const looked = (
  { status, workers }: Options,
  worker: number = 1,
  question: (worker: AdminClient.AdminClient) => Asked
): Effect.Effect<Response> => {
  const client = workers[worker - 1]
  if (client === undefined) {
    const error = `there is no worker ${worker}: they are 1 to ${status().length}`
    return Effect.succeed(HttpServerResponse.jsonUnsafe({ error }, { status: 404 }))
  }
  return Effect.match(question(client), {
    onFailure: (error) =>
      HttpServerResponse.jsonUnsafe({ error: `worker ${worker} does not answer: ${AdminClient.whyOf(error)}` }, {
        status: 503
      }),
    onSuccess: ({ headers, status, stream }) =>
      HttpServerResponse.stream(stream, {
        status,
        headers: headers["content-disposition"] === undefined
          ? {}
          : { "content-disposition": headers["content-disposition"] },
        contentType: headers["content-type"] ?? "application/octet-stream"
      })
  })
}

const control = (options: Options) =>
  HttpApiBuilder.group(AdminApi.AdminApi, "control", (handlers) =>
    handlers
      .handle("setLogging", ({ query }) =>
        Effect.gen(function*() {
          const threshold = yield* LogThreshold.LogThreshold
          return yield* together(options, ({ api }) => api.control.setLogging({ query }), ([first]) => {
            threshold.set(LogLevels.of(query.level))
            return first!
          })
        }))
      .handle("drain", ({ query }) =>
        Effect.map(
          together(options, ({ api }) => api.control.drain({ query }), Merge.leaving),
          (all) =>
            HttpServerResponse.isHttpServerResponse(all) ? all : HttpServerResponse.jsonUnsafe(all, { status: 202 })
        ))
      .handle("reauthorize", ({ query }) =>
        together(options, ({ api }) => api.control.reauthorize({ query }), Merge.reauthorization))
      .handle("rotate", ({ query }) =>
        together(
          options,
          ({ api }) =>
            api.control.rotate({ query, responseMode: "decoded-and-response" }),
          (all) => {
            const renewal = Merge.renewal(all.map(([each]) => each))
            const failed = all.find(([, { status }]) => status !== 200)
            return failed === undefined ? renewal : HttpServerResponse.jsonUnsafe(renewal, { status: failed[1].status })
          }
        ))
      .handle("changeIntention", () =>
        Effect.succeed(HttpServerResponse.jsonUnsafe({ error: ControlHandlers.elsewhere }, { status: 403 })))
      .handle("cpuProfile", ({ query: { worker, ...query } }) =>
        looked(options, worker, ({ api }) =>
          api.control.cpuProfile({ query, responseMode: "response-only" })))
      .handle("heapSnapshot", ({ query }) =>
        looked(options, query.worker, ({ api }) =>
          api.control.heapSnapshot({ query: {}, responseMode: "response-only" }))))
