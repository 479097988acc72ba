/** What a relayed request leaves behind: spans of both sides, counts of its route and target, and the marks of the proxy. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Tracer } from "effect"
import * as Marks from "../../../src/http/relay/Marks.ts"
import * as OpenMetrics from "../../../src/observe/OpenMetrics.ts"
import * as EchoService from "../../support/echoService.ts"
import * as Scrape from "../../support/scrape.ts"
import * as SidecarMesh from "../../support/sidecarMesh.ts"
import * as Sockets from "../../support/sockets.ts"
import * as Spans from "../../support/spans.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"

const setUp = Effect.fnUntraced(function*(options: Partial<SidecarMesh.Options> = {}) {
  const app = yield* EchoService.start("api", "1.1")
  const mesh = yield* SidecarMesh.make({ apps: [app.port], protocol: "http", ...options })
  return { app, mesh, client: yield* EchoService.client(mesh.port) }
})

describe("a request through two sidecars", () => {
  it.live("passes on who traces it, where nobody collects spans", () =>
    Effect.gen(function*() {
      const { app, client } = yield* setUp()
      const headers = {
        traceparent: `00-${traceId}-${spanId}-01`,
        tracestate: "a=1",
        b3: `${traceId}-${spanId}-1`,
        "x-b3-traceid": traceId
      }
      yield* client({ headers })
      for (const [name, value] of Object.entries(headers)) assert.strictEqual(app.seen[0]!.headers[name], value)
    }))

  it.live("has a span in each, within that of its client", () =>
    Effect.gen(function*() {
      const spans = yield* Spans.collect
      const { app, client } = yield* setUp().pipe(Effect.provideService(Tracer.Tracer, spans.tracer))
      yield* client({ headers: { traceparent: `00-${traceId}-${spanId}-01` } })
      yield* Sockets.eventually(() =>
        spans.named("server", "GET").some(({ status }) => status._tag === "Ended") &&
        spans.named("client", "GET").some(({ status }) => status._tag === "Ended")
      )
      const [outbound] = spans.named("client", "GET")
      const [inbound] = spans.named("server", "GET")
      assert.deepStrictEqual([outbound!.traceId, inbound!.traceId], [traceId, traceId])
      assert.strictEqual(Spans.parentOf(outbound!), spanId)
      assert.strictEqual(Spans.parentOf(inbound!), outbound!.spanId)
      assert.strictEqual(app.seen[0]!.headers["traceparent"], `00-${traceId}-${inbound!.spanId}-01`)
      assert.strictEqual(outbound!.attributes.get("mesh.destination"), "api")
      assert.strictEqual(inbound!.attributes.get("mesh.source"), "web")
      assert.strictEqual(inbound!.attributes.get("http.response.status_code"), 200)
    }))

  it.live("is counted by its route and its target", () =>
    Scrape.fresh(Effect.gen(function*() {
      const router = {
        Kind: "service-router",
        Name: "api",
        Routes: [{ Match: { HTTP: { PathPrefix: "/one" } }, Destination: {} }]
      }
      const { app, client } = yield* setUp({ entries: [router] })
      app.statuses.push(200, 404)
      yield* client({ path: "/one/1" })
      yield* client({ path: "/one/2" })
      yield* client({ path: "/two" })
      const read = Effect.map(
        Scrape.samples,
        (samples) => Object.entries(samples).filter(([name]) => name.startsWith("mesh_http_routed_total"))
      )
      yield* Sockets.eventuallyEffect(Effect.map(read, (all) => all.reduce((sum, [, value]) => sum + value, 0) >= 3))
      const routed = yield* read
      const of = (route: string, code: string) =>
        routed.filter(([name]) =>
          [`route="${route}"`, `code="${code}"`, "target=\"api.default.default.dc1\""].every((label) =>
            name.includes(label)
          )
        ).map(([, value]) => value)
      assert.deepStrictEqual([of("1", "200"), of("1", "404"), of("default", "200")], [[1], [1], [1]])
    })))

  it.live("counts its bytes on the side of its caller, too", () =>
    Scrape.fresh(Effect.gen(function*() {
      const { client } = yield* setUp()
      yield* client({ path: "/one" })
      const counted = Effect.map(Scrape.samples, (samples) =>
        ["sent", "received"].map((flow) =>
          Object.entries(samples).filter(([name]) =>
            ["mesh_bytes_total", "direction=\"outbound\"", `flow="${flow}"`].every((part) =>
              name.includes(part)
            )
          ).reduce((sum, [, value]) => sum + value, 0)
        ))
      yield* Sockets.eventuallyEffect(Effect.map(counted, (all) => all.every((bytes) => bytes > 30)))
    })))

  it.live("is an exemplar of both sides by the trace that its client has named, if that is kept", () =>
    Scrape.fresh(Effect.gen(function*() {
      const { client } = yield* setUp()
      const named = Effect.map(
        Effect.context<never>(),
        (
          context
        ) => [...OpenMetrics.format(context).matchAll(/direction="(\w+)".* # \{trace_id="(\w+)",span_id="(\w+)"/g)]
      )
      yield* client({ headers: { traceparent: `00-${traceId}-${spanId}-00` } })
      yield* client({ headers: { b3: "x".repeat(200) } })
      yield* client()
      yield* Sockets.eventuallyEffect(
        Effect.map(
          Scrape.samples,
          (samples) =>
            Object.entries(samples).filter(([name, value]) =>
              name.startsWith("mesh_http_request_duration_seconds_count") && value === 3
            ).length === 2
        )
      )
      assert.deepStrictEqual(yield* named, [])
      yield* client({ headers: { b3: `${traceId}-${spanId}-1` } })
      yield* Sockets.eventuallyEffect(Effect.map(named, (found) => found.length === 2))
      assert.deepStrictEqual(
        (yield* named).map(([, ...found]) => found).sort(),
        [["inbound", traceId, spanId], ["outbound", traceId, spanId]]
      )
    })))

  it.live("is an exemplar by the spans that are made of it, where a tracer collects them", () =>
    Scrape.fresh(Effect.gen(function*() {
      const spans = yield* Spans.collect
      const { client } = yield* setUp().pipe(Effect.provideService(Tracer.Tracer, spans.tracer))
      yield* client()
      const text = Effect.map(Effect.context<never>(), OpenMetrics.format)
      const ids = (kind: "client" | "server") => spans.named(kind, "GET").map(({ spanId }) => spanId)
      yield* Sockets.eventuallyEffect(Effect.map(text, (text) =>
        [...ids("client"), ...ids("server")].length === 2 &&
        [...ids("client"), ...ids("server")].every((id) => text.includes(`span_id="${id}"`))))
    })))

  it.live("carries the marks of Envoy, or none", () =>
    Effect.gen(function*() {
      const marked = yield* setUp()
      const answer = yield* marked.client()
      assert.strictEqual(answer.headers["server"], "envoy")
      assert.isDefined(answer.headers["x-envoy-upstream-service-time"])
      assert.strictEqual(marked.app.seen[0]!.headers["x-envoy-expected-rq-timeout-ms"], "15000")
      const bare = yield* setUp({ marks: Marks.none })
      const plain = yield* bare.client()
      assert.deepStrictEqual(Object.keys(plain.headers).filter((name) => /^(server|x-envoy)/.test(name)), [])
      assert.deepStrictEqual(Object.keys(bare.app.seen[0]!.headers).filter((name) => name.startsWith("x-envoy")), [])
    }))
})
