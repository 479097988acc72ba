/**
 * What holds for every sidecar of the mesh, as the config entry `mesh` says: how requests are cleaned before they are judged,
 * and whether applications learn of client certificates. Without an entry Consul's defaults hold.
 *
 * Nobody needs a right to read it. A token that may not all the same gets the defaults, which is said once.
 */
import { Context, Effect, Layer, Result, Schema, Stream, type SubscriptionRef } from "effect"
import * as ApiWatch from "../consul/ApiWatch.ts"
import type * as BlockingQuery from "../consul/BlockingQuery.ts"
import * as ConsulClient from "../consul/ConsulClient.ts"
import * as ConsulError from "../consul/ConsulError.ts"
import * as Entry from "../consul/config/Mesh.ts"
import type * as PathNormalization from "../intention/PathNormalization.ts"
import * as Watched from "./Watched.ts"

export interface Defaults {
  /** For requests from the mesh. */
  readonly incoming: PathNormalization.RequestNormalization
  /** What becomes of requests from the mesh with a `_` in the name of a header. `drop`: the header is taken out. */
  readonly headersWithUnderscores: "allow" | "drop" | "reject"
  /** Whether `x-forwarded-client-cert` is taken out of requests from the mesh, instead of naming the caller. */
  readonly sanitizeForwardedClientCert: boolean
}

export class MeshDefaults extends Context.Service<MeshDefaults, Watched.Watched<Defaults>>()(
  "effect-mesh/watch/MeshDefaults"
) {}

const what = "the mesh entry"

export const defaults: Defaults = {
  incoming: {},
  headersWithUnderscores: "allow",
  sanitizeForwardedClientCert: false
}

/** Serves what is put into `ref`. */
export const layerFrom = (ref: SubscriptionRef.SubscriptionRef<Defaults>): Layer.Layer<MeshDefaults> =>
  Layer.succeed(MeshDefaults, Watched.fromRef(what, ref))

/** These, for ever. */
export const layerStatic = (value: Defaults = defaults): Layer.Layer<MeshDefaults> =>
  Layer.succeed(MeshDefaults, Watched.constant(what, value))

/** Watches the config entry at the Consul agent: one watch, shared by the services of one client. Builds at once. */
export const layer: Layer.Layer<MeshDefaults, never, ConsulClient.ConsulClient> = Layer.effect(
  MeshDefaults,
  Effect.gen(function*() {
    const consul = yield* ConsulClient.ConsulClient
    // The list: it has an index to wait by also where there is no entry.
    const name = "GET /v1/config/mesh"
    return yield* consul.share(
      name,
      Watched.make(
        { what, watch: "mesh", subject: "*" },
        orDefaults(ApiWatch.byIndex(consul, {
          name,
          sharing: "vital",
          request: (api, blocking) => api.config.list({ params: { kind: "mesh" }, query: blocking }),
          decode: ([entry]) => entry === undefined ? Result.succeed(defaults) : fromEntry(entry)
        }))
      )
    )
  })
)

/** What an agent that refuses to say leaves in force from the start. Later on, the last value stays. */
const orDefaults = (source: Stream.Stream<BlockingQuery.Observation<Defaults>>) =>
  Stream.suspend(() => {
    let known = false
    return Stream.flatMap(source, (seen): Stream.Stream<BlockingQuery.Observation<Defaults>> => {
      const refused = seen._tag === "Failure" && isForGood(seen.error)
      if (known || (seen._tag === "Failure" && !refused)) return Stream.succeed(seen)
      known = true
      return refused
        ? Stream.make({ _tag: "Answer", value: defaults, at: seen.at } as const, seen)
        : Stream.succeed(seen)
    })
  })

/** The token lacks a right, or the agent is too old to know the kind. */
const isForGood = (error: ConsulError.ConsulError): boolean =>
  ConsulError.isRefused(error) || error.reason._tag === "InvalidRequest"

/** Fails with a sentence. */
export const fromEntry = (entry: unknown): Result.Result<Defaults, string> =>
  decode(entry).pipe(
    Result.mapError((error) => `the mesh entry can not be read: ${error.message}`),
    Result.map(({ HTTP }) => {
      const { HeadersWithUnderscoresAction, ...incoming } = HTTP?.Incoming?.RequestNormalization ?? {}
      return {
        incoming,
        headersWithUnderscores: underscores[HeadersWithUnderscoresAction ?? ""] ?? "allow",
        sanitizeForwardedClientCert: HTTP?.SanitizeXForwardedClientCert ?? false
      }
    })
  )

const decode = Schema.decodeUnknownResult(Schema.toCodecGoJson(Entry.Mesh))

const underscores: Readonly<Record<string, Defaults["headersWithUnderscores"]>> = {
  DROP_HEADER: "drop",
  REJECT_REQUEST: "reject"
}
