/**
 * A question that is asked again and again is mostly answered the same: its wait is over, or its turn has come. Such an answer is
 * recognized by its digest, and is not decoded again: with fifty services in a process that was most of the work at rest.
 */
import { createHash } from "node:crypto"
import { Context, Effect, Schema } from "effect"
import { HttpClient, type HttpClientError } from "effect/http"

/** Of the last answer to one question. Belongs to whoever asks. */
export interface Memory {
  /** Of the answer whose value is known. Undefined: decode the next one, whatever it is. */
  known: string | undefined
  /** Of the answer that has come in. */
  heard: string | undefined
}

export const memory = (): Memory => ({ known: undefined, heard: undefined })

/** Whether the answer that has come in is the one whose value is known. */
export const isRepeated = ({ heard, known }: Memory): boolean => known !== undefined && heard === known

/** The answer was decoded before. Whoever has given the memory knows its value. */
export class SameAnswer extends Schema.TaggedError<SameAnswer>()("SameAnswer", {}) {
  override readonly message = "it is the one before"
}

const Current = Context.Reference<Memory | undefined>("effect-mesh/consul/SameAnswer/Memory", {
  defaultValue: () => undefined
})

/** What says something besides the body. How fresh an answer is changes all the time, and nobody asks. */
const headers = [
  "x-consul-index",
  "x-consul-contenthash",
  "x-consul-results-filtered-by-acls",
  "x-consul-default-acl-policy"
]

/** Fails with `SameAnswer` before a repeated answer is decoded, in requests that are `remembered`. */
export const recognize = (
  client: HttpClient.HttpClient
): HttpClient.HttpClient.With<HttpClientError.HttpClientError | SameAnswer> =>
  HttpClient.transformResponse(
    client,
    Effect.flatMap((response) =>
      Effect.flatMap(Current, (memory) =>
        memory === undefined || response.status !== 200
          ? Effect.succeed(response)
          : Effect.flatMap(response.text, (body) => {
            const said = response.headers
            const digest = createHash("sha256").update(headers.map((name) => said[name] ?? "").join("\n")).update("\n")
            memory.heard = digest.update(body).digest("base64")
            return isRepeated(memory) ? Effect.fail(new SameAnswer()) : Effect.succeed(response)
          }))
    )
  )

export const remembered = <A, E, R>(
  memory: Memory | undefined,
  request: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => Effect.provideService(request, Current, memory)
