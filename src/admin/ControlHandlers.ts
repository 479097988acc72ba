/** What the process can be told to do. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Duration, Effect, LogLevel } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { EventEmitter } from "node:events"
import * as LogThreshold from "../observe/LogThreshold.ts"
import * as AdminApi from "./AdminApi.ts"
import type * as Documents from "./Documents.ts"
import * as IntentionChange from "./IntentionChange.ts"
import type { Options } from "./ReadHandlers.ts"
import * as LogLevels from "./LogLevels.ts"
import * as Profiles from "./Profiles.ts"
import * as Views from "./Views.ts"

export const elsewhere =
  "intentions can be changed here only in a mesh of `effect-mesh up` under its development agent: use consul config write"

export const layer = ({ fleet, intentions }: Options) =>
  HttpApiBuilder.group(AdminApi.AdminApi, "control", (handlers) => {
    /** Answers 404 where there is no such sidecar. */
    const each = <A>(
      { sidecar }: { readonly sidecar?: string },
      then: (chosen: ReadonlyArray<Views.Running>) => Effect.Effect<A>
    ): Effect.Effect<A | HttpServerResponse.HttpServerResponse> =>
      Effect.suspend((): Effect.Effect<A | HttpServerResponse.HttpServerResponse> => {
        const running = Views.running(fleet.members())
        const chosen = sidecar === undefined
          ? running
          : running.filter((each) => Views.isNamed(each, sidecar))
        if (chosen.length > 0 || sidecar === undefined) return then(chosen)
        const names = running.map(({ head }) => head.name).join(", ")
        return Effect.succeed(HttpServerResponse.jsonUnsafe({
          error: `no sidecar ${sidecar} runs here; there ${names === "" ? "is none" : `are: ${names}`}`
        }, { status: 404 }))
      })
    return handlers
      .handle("setLogging", ({ query }) =>
        Effect.gen(function*() {
          const threshold = yield* LogThreshold.LogThreshold
          const before = LogLevels.current(threshold)
          const line = before.level === query.level
            ? Effect.void
            : Effect.logInfo(`the log level was ${before.level}, and is ${query.level} now`)
          // While the log takes such lines, before the change or after it.
          const isHeard = LogLevel.isLessThanOrEqualTo(threshold.level(), "Info")
          if (isHeard) yield* line
          threshold.set(LogLevels.of(query.level))
          if (!isHeard) yield* line
          return LogLevels.current(threshold)
        }))
      .handle("drain", ({ query, request }) => each(query, (chosen) => drain(request, chosen)))
      .handle(
        "reauthorize",
        ({ query }) =>
          each(query, (chosen) => Effect.map(Effect.forEach(chosen, reauthorize), (sidecars) => ({ sidecars })))
      )
      .handle(
        "rotate",
        ({ query }) =>
          each(query, (chosen) =>
            Effect.map(Effect.forEach(chosen, renew, { concurrency: "unbounded" }), (all) => {
              const sidecars = all.map(({ renewal }) => renewal)
              return all.every(({ answered }) => answered)
                ? { sidecars }
                : HttpServerResponse.jsonUnsafe({ sidecars }, { status: 502 })
            }))
      )
      .handle("changeIntention", ({ query }) => {
        if (intentions === undefined) {
          return Effect.succeed(HttpServerResponse.jsonUnsafe({ error: elsewhere }, { status: 403 }))
        }
        const { action, destination, source } = query
        return IntentionChange.apply(intentions, query).pipe(
          Effect.andThen(
            Effect.logInfo(
              action === "remove"
                ? `the intention ${source} → ${destination} was removed on the page of the mesh`
                : `the intention ${source} → ${destination} says ${action} now, by the page of the mesh`
            )
          ),
          Effect.as(query),
          Effect.catch(({ message }) =>
            Effect.succeed(HttpServerResponse.jsonUnsafe({ error: message }, { status: 502 }))
          )
        )
      })
      .handle(
        "cpuProfile",
        ({ query: { seconds = 10, worker } }) =>
          worker !== undefined ? Effect.succeed(alone) : Profiles.cpu(Duration.seconds(seconds)).pipe(
            Effect.map((profile) =>
              HttpServerResponse.text(profile, { contentType: "application/json", headers: download("cpuprofile") })
            ),
            Effect.catch(({ message }) =>
              Effect.succeed(HttpServerResponse.jsonUnsafe({ error: message }, { status: 409 }))
            )
          )
      )
      .handle("heapSnapshot", ({ query: { worker } }) =>
        worker !== undefined ? Effect.succeed(alone) : Effect.as(
          Effect.logWarning("a heap snapshot is taken: it holds tokens and keys, and everything stops meanwhile"),
          HttpServerResponse.stream(Profiles.heap, {
            contentType: "application/octet-stream",
            headers: download("heapsnapshot")
          })
        ))
  })

const alone = HttpServerResponse.jsonUnsafe(
  { error: "there are no workers here: leave out ?worker=" },
  { status: 400 }
)

const download = (extension: string) => ({
  "content-disposition": `attachment; filename="effect-mesh-${process.pid}.${extension}"`
})

/** Begins once the answer has gone out: the process may end when the sidecar has left. */
const drain = (request: HttpServerRequest.HttpServerRequest, chosen: ReadonlyArray<Views.Running>) =>
  Effect.as(
    Effect.forkDetach(
      Effect.andThen(
        closed(NodeHttpServerRequest.toServerResponse(request)),
        Effect.forEach(chosen, ({ sidecar }) => sidecar.leave, { concurrency: "unbounded", discard: true })
      ),
      { startImmediately: true }
    ),
    {
      sidecars: chosen.map(({ head, status: { phase } }) => ({
        ...head,
        phase: phase === "serving" ? "leaving" : phase
      }))
    }
  )

const closed = (response: EventEmitter): Effect.Effect<void> =>
  Effect.callback((resume) => {
    response.once("close", () => resume(Effect.void))
  })

const reauthorize = Effect.fnUntraced(function*({ head, sidecar, status }: Views.Running) {
  const inbound = status.listeners.filter(({ direction }) => direction === "inbound")
  const judged = inbound.reduce((sum, { counts }) => sum + counts.open, 0)
  const before = cutOf(status)
  yield* Effect.forEach(inbound, ({ details }) => details.judgeAgain, { discard: true })
  return { ...head, judged, cut: cutOf(sidecar.status()) - before }
})

const cutOf = ({ listeners }: Views.Running["status"]): number =>
  listeners.reduce((sum, { counts }) => sum + counts.cut, 0)

const renew = ({ head, sidecar }: Views.Running) => {
  const leaf = () => sidecar.material?.().leaf.certificate
  const before = leaf()?.serial ?? null
  const renewal = (why: string): typeof Documents.Renewal.Type["sidecars"][number] => {
    const now = leaf()
    const after = now?.serial ?? null
    const renewed = after !== before
    return { ...head, before, after, renewed, notAfter: now?.notAfter.toISOString() ?? null, why: renewed ? null : why }
  }
  if (sidecar.renew === undefined) return Effect.succeed({ answered: true, renewal: renewal(withoutLeaf) })
  return Effect.match(sidecar.renew, {
    onSuccess: () => ({ answered: true, renewal: renewal(unchanged) }),
    onFailure: ({ message }) => ({ answered: false, renewal: renewal(message) })
  })
}

const withoutLeaf = "it has none: it opens no TLS"

const unchanged =
  "the agent has no other one: it renews a leaf by itself when its end is near, and when the CA root changes (consul connect ca set-config)"
