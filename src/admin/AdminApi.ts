/** The admin interface of a sidecar process: what it reads back, and what it can be told to do. */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import * as Documents from "./Documents.ts"

/** At most so many connections of each sidecar are listed, unless more are asked for. */
export const listed = 1000

const limit = Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))

/** A sidecar by its name, its service or the ID of its registration. Absent: all of them, or the first. */
const which = { sidecar: Schema.optionalKey(Schema.String) }

/** Changes nothing, and needs no token. */
export class ReadApi extends HttpApiGroup.make("read").add(
  HttpApiEndpoint.get("ready", "/ready", {
    success: [Documents.Readiness, Documents.Readiness.pipe(HttpApiSchema.status(503))]
  }),
  HttpApiEndpoint.get("live", "/live", { success: Documents.Liveness }),
  HttpApiEndpoint.get("certificates", "/certs", { success: Documents.Certificates }),
  HttpApiEndpoint.get("intentions", "/intentions", { success: Documents.Intentions }),
  HttpApiEndpoint.get("connections", "/connections", {
    query: { limit: Schema.optionalKey(limit) },
    success: Documents.Connections
  }),
  HttpApiEndpoint.get("upstreams", "/upstreams", { success: Documents.Upstreams }),
  HttpApiEndpoint.get("routes", "/routes", { success: Documents.Routes }),
  HttpApiEndpoint.get("watches", "/watches", { success: Documents.Watches }),
  HttpApiEndpoint.get("snapshot", "/snapshot", { query: which, success: Documents.Snapshot }),
  HttpApiEndpoint.get("events", "/events", {
    query: which,
    success: HttpApiSchema.StreamSse({ data: Documents.Snapshot })
  }),
  HttpApiEndpoint.get("graph", "/graph", { success: Documents.Graph }),
  HttpApiEndpoint.get("graphEvents", "/graph/events", { success: HttpApiSchema.StreamSse({ data: Documents.Graph }) }),
  HttpApiEndpoint.get("logging", "/logging", { success: Documents.Logging }),
  HttpApiEndpoint.get("configuration", "/config", { success: Documents.Configuration })
) {}

/** Of several processes, the one that is looked into. Absent: the first. */
const worker = { worker: Schema.optionalKey(Schema.FiniteFromString.check(Schema.isInt())) }

/** Seconds of a profile. */
const seconds = Schema.FiniteFromString.check(Schema.isBetween({ minimum: 0.1, maximum: 300 }))

/** Changes something, or costs much: see `Access`. */
export class ControlApi extends HttpApiGroup.make("control").add(
  HttpApiEndpoint.post("setLogging", "/logging", {
    query: { level: Documents.LogLevel },
    success: Documents.Logging
  }),
  HttpApiEndpoint.post("drain", "/drain", {
    query: which,
    success: Documents.Leaving.pipe(HttpApiSchema.status(202))
  }),
  HttpApiEndpoint.post("reauthorize", "/reauthorize", { query: which, success: Documents.Reauthorization }),
  HttpApiEndpoint.post("rotate", "/rotate", {
    query: which,
    success: [Documents.Renewal, Documents.Renewal.pipe(HttpApiSchema.status(502))]
  }),
  HttpApiEndpoint.put("changeIntention", "/intentions", {
    query: Documents.Changed.fields,
    success: Documents.Changed
  }),
  HttpApiEndpoint.post("cpuProfile", "/cpuprofile", {
    query: { seconds: Schema.optionalKey(seconds), ...worker },
    success: Schema.Json
  }),
  HttpApiEndpoint.post("heapSnapshot", "/heapsnapshot", { query: worker, success: HttpApiSchema.StreamUint8Array() })
) {}

export class AdminApi extends HttpApi.make("admin").add(ReadApi).add(ControlApi) {}
