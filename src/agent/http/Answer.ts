/** Answers with the headers that Consul puts on them. */
import { Duration, Effect, Option, Result, Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"
import type { HttpServerRequest } from "effect/http"
import * as ApiError from "../../consul/ApiError.ts"
import * as GoDuration from "../../consul/GoDuration.ts"
import type * as BlockingRead from "../BlockingRead.ts"
import * as BexprFilter from "../BexprFilter.ts"
import * as GoDecode from "../GoDecode.ts"

/** ACLs are off: their default is to allow, independent of intentions. */
const common = { "x-consul-default-acl-policy": "allow" } as const

export const plain = <A>(body: A) => HttpApiSchema.withHeaders({ body, headers: common })
export const done = plain(undefined)

const read = {
  ...common,
  "x-consul-knownleader": true,
  "x-consul-lastcontact": 0,
  "x-consul-query-backend": "blocking-query"
} as const

/** From the servers, without saying how consistent: config entries, intentions, roots. */
export const indexed = <A>({ index, value }: BlockingRead.Answer<A>) =>
  HttpApiSchema.withHeaders({ body: value, headers: { ...read, "x-consul-index": BigInt(index) } })

/** From the servers. `cached` was asked for and is granted: nothing here is ever older than the servers' state. */
export const consistent = <A>({ index, value }: BlockingRead.Answer<A>, query: { readonly cached?: boolean } = {}) =>
  HttpApiSchema.withHeaders({
    body: value,
    headers: {
      ...read,
      "x-consul-index": BigInt(index),
      "x-consul-effective-consistency": "leader",
      ...(query.cached === true && { "x-cache": "HIT", age: 0 })
    }
  })

export const hit = { ...common, "x-cache": "HIT", age: 0 } as const
export const indexedHit = (index: number) => ({ ...read, ...hit, "x-consul-index": BigInt(index) })

export const hashed = <A>(body: A, hash: string) =>
  HttpApiSchema.withHeaders({ body, headers: { ...common, "x-consul-contenthash": hash } })

export const badRequest = (body: string) => new ApiError.BadRequest({ body })
export const notFound = (body: string) => new ApiError.NotFound({ body })
export const internal = (body: string) => new ApiError.InternalError({ body })

/** What a blocking read was asked for. `wait` is a duration: other texts were refused before. */
export const blocking = (query: { readonly index?: bigint; readonly wait?: string }): BlockingRead.Request => ({
  index: query.index,
  wait: waitOf(query)
})

export const waitOf = ({ wait }: { readonly wait?: string }): Duration.Duration | undefined =>
  wait === undefined ? undefined : Option.getOrUndefined(GoDuration.parse(wait))

/** A filter that can not be applied is the server's error, says Consul. */
export const filter = (text: string | undefined, schema: Schema.Constraint) =>
  Effect.fromResult(
    Result.mapError(BexprFilter.compile(text, schema), (error) => internal(BexprFilter.describe(error)))
  )

/** Decodes a body strictly: unknown keys are refused. Fails with 400 in the words of Go's decoder. */
export const body = <A, I>(
  request: HttpServerRequest.HttpServerRequest,
  schema: Schema.Codec<A, I>,
  options: Pick<GoDecode.Options, "snakeCase" | "refuses">
): Effect.Effect<A, ApiError.BadRequest> =>
  Effect.gen(function*() {
    const text = yield* Effect.mapError(request.text, (error) => error.message)
    const document = yield* Effect.fromResult(GoDecode.parse(text))
    const conformed = yield* Effect.fromResult(
      Result.mapError(
        GoDecode.conform(schema, document, { ...options, weak: false }),
        (problems) => problems[0] === undefined ? "" : GoDecode.describe(problems[0])
      )
    )
    return yield* Effect.mapError(Schema.decodeUnknownEffect(schema)(conformed), (error) => error.message)
  }).pipe(Effect.mapError((reason) => badRequest(`Request decode failed: ${reason}`)))
