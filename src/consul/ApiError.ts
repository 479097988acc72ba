/**
 * The refusals of Consul's HTTP API: one class for each status, with the text of the answer.
 *
 * The status says less than one would like: several user mistakes (a bad filter, an invalid config entry) arrive as 500.
 */
import { Schema, SchemaGetter } from "effect"
import { HttpApiSchema } from "effect/http-api"

/** A bad parameter or body. */
export class BadRequest extends Schema.TaggedError<BadRequest>()("BadRequest", { body: Schema.String }) {
  override readonly message = describe(400, this.body)
}

/** ACLs are needed for this endpoint but disabled. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", { body: Schema.String }) {
  override readonly message = describe(401, this.body)
}

/** The token is unknown or may not do this. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", { body: Schema.String }) {
  override readonly message = describe(403, this.body)
}

/**
 * No such object or endpoint.
 * `index` is there for a config entry that does not exist yet: a blocking query from it returns when the entry appears.
 */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", {
  body: Schema.String,
  index: Schema.optionalKey(Schema.BigInt)
}) {
  override readonly message = describe(404, this.body)
}

export class MethodNotAllowed extends Schema.TaggedError<MethodNotAllowed>()("MethodNotAllowed", {
  body: Schema.String
}) {
  override readonly message = describe(405, this.body)
}

/** A rate limit or the limit of connections per client. Passes by itself. */
export class TooManyRequests extends Schema.TaggedError<TooManyRequests>()("TooManyRequests", { body: Schema.String }) {
  override readonly message = describe(429, this.body)
}

/** A failure of the server, or a mistake of the user that Consul reports as one. */
export class InternalError extends Schema.TaggedError<InternalError>()("InternalError", { body: Schema.String }) {
  override readonly message = describe(500, this.body)
}

/** An operation of the leader is rate limited. Passes by itself. */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", { body: Schema.String }) {
  override readonly message = describe(503, this.body)
}

const describe = (status: number, body: string) => `Consul answered ${status}: ${body.trim()}`

export type ApiError =
  | BadRequest
  | Unauthorized
  | Forbidden
  | NotFound
  | MethodNotAllowed
  | TooManyRequests
  | InternalError
  | Unavailable

const plainText = HttpApiSchema.asText({ contentType: "text/plain; charset=utf-8" })

const wire = <A extends { readonly body: string }>(
  error: Schema.Constraint & { readonly Type: A },
  make: (fields: { readonly body: string }) => A,
  status: number
) =>
  Schema.String.pipe(
    Schema.decodeTo(Schema.toType(error) as unknown as Schema.Codec<A>, {
      decode: SchemaGetter.transform((body: string) => make({ body })),
      encode: SchemaGetter.transform((failure: A) => failure.body)
    }),
    plainText,
    HttpApiSchema.status(status)
  )

const badRequest = wire(BadRequest, (fields) => new BadRequest(fields), 400)
const unauthorized = wire(Unauthorized, (fields) => new Unauthorized(fields), 401)
const forbidden = wire(Forbidden, (fields) => new Forbidden(fields), 403)
const methodNotAllowed = wire(MethodNotAllowed, (fields) => new MethodNotAllowed(fields), 405)
const tooManyRequests = wire(TooManyRequests, (fields) => new TooManyRequests(fields), 429)
const internalError = wire(InternalError, (fields) => new InternalError(fields), 500)
const unavailable = wire(Unavailable, (fields) => new Unavailable(fields), 503)

const notFound = NotFound.pipe(HttpApiSchema.encodeToWithHeaders({
  body: Schema.String.pipe(plainText, HttpApiSchema.status(404)),
  headers: { "x-consul-index": Schema.optionalKey(Schema.BigInt) }
}, {
  decode: ({ body, headers: { "x-consul-index": index } }) =>
    new NotFound({ body, ...(index !== undefined && { index }) }),
  encode: ({ body, index }) => ({ body, headers: index === undefined ? {} : { "x-consul-index": index } })
}))

/** What any endpoint may refuse with. */
export const common = [
  badRequest,
  unauthorized,
  forbidden,
  notFound,
  methodNotAllowed,
  tooManyRequests,
  internalError,
  unavailable
] as const

/** For the endpoints that answer 404, 429 and 503 with a document. */
export const exceptHealth = [badRequest, unauthorized, forbidden, methodNotAllowed, internalError] as const
