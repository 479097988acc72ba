/** Reads the admin interface of a sidecar process, as often as it is asked. */
import { Clock, Effect, Schema, type Scope } from "effect"
import * as AdminClient from "../../admin/AdminClient.ts"
import type * as Documents from "../../admin/Documents.ts"
import type * as Listening from "../../net/Listening.ts"
import * as Series from "./Series.ts"

/** What a process says of itself at one moment. */
export interface Reading {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly configuration: typeof Documents.Configuration.Type
  readonly readiness: Documents.Readiness
  readonly certificates: typeof Documents.Certificates.Type
  readonly intentions: typeof Documents.Intentions.Type
  readonly upstreams: typeof Documents.Upstreams.Type
  readonly connections: typeof Documents.Connections.Type
  readonly watches: typeof Documents.Watches.Type
  readonly metrics: ReadonlyArray<Series.Series>
}

/** The admin interface does not answer, or something else does. */
export class NoReading extends Schema.TaggedError<NoReading>()("NoReading", {
  address: Schema.String,
  why: Schema.String
}) {
  override readonly message =
    `cannot read the admin interface at ${this.address}: ${this.why}. Does the sidecar run, with --admin-bind ${this.address}?`
}

export interface Source {
  readonly address: string
  readonly read: Effect.Effect<Reading, NoReading>
}

/** Of more, the rates of single callers are not known. */
const connections = 5000

export const make = Effect.fnUntraced(function*(bind: Listening.Bind): Effect.fn.Return<Source, never, Scope.Scope> {
  const { address, api: { read: api }, metrics } = yield* AdminClient.make(bind)
  const heard = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, NoReading> =>
    effect.pipe(
      Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => Effect.fail("no answer within 5 seconds") }),
      Effect.mapError((error) => new NoReading({ address, why: whyOf(error) }))
    )
  return {
    address,
    read: heard(Effect.gen(function*() {
      const all = yield* Effect.all({
        configuration: api.configuration(),
        readiness: api.ready(),
        certificates: api.certificates(),
        intentions: api.intentions(),
        upstreams: api.upstreams(),
        connections: api.connections({ query: { limit: connections } }),
        watches: api.watches(),
        metrics: Effect.map(metrics(), Series.parse)
      }, { concurrency: "unbounded" })
      return { at: yield* Clock.currentTimeMillis, ...all }
    }))
  }
})

const whyOf = (error: unknown): string => typeof error === "string" ? error : AdminClient.whyOf(error)
