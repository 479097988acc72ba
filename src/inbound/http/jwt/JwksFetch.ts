/** Gets the keys of a provider from its URL: outside of the mesh, a bounded answer in a bounded time. Redirects fail. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { readFile } from "node:fs/promises"
import { Effect, Schema } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import type * as JwtProvider from "../../../watch/JwtProvider.ts"

/** The text was not to be had. It may be, later. */
export class NotFetched extends Schema.TaggedError<NotFetched>()("NotFetched", { why: Schema.String }) {
  override readonly message = this.why
}

export type Fetch = (source: JwtProvider.RemoteKeys) => Effect.Effect<string, NotFetched>

/** A key set of a hundred RSA keys with their certificates has half of that. */
const maxBytes = 1024 * 1024

/** Verifies `https` servers. Each fetch has a connection of its own, and reads the authorities anew. */
export const fetch: Fetch = (source) =>
  Effect.gen(function*() {
    const dispatcher = yield* NodeHttpClient.makeDispatcherOptions({
      connections: 1,
      maxResponseSize: maxBytes,
      connect: { timeout: source.connectTimeoutMilliseconds, ...(yield* trust(source.ca)) }
    })
    const client = yield* Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, dispatcher)
    const response = yield* Effect.flatMap(client.get(source.uri), HttpClientResponse.filterStatusOk)
    return yield* response.text
  }).pipe(
    Effect.scoped,
    Effect.timeout(source.timeoutMilliseconds),
    Effect.mapError((error) => new NotFetched({ why: `GET ${withoutSecrets(source.uri)}: ${rootOf(error)}` })),
    // Whoever needs them first is not what they are fetched for, and nobody there has to know.
    Effect.provideService(HttpClient.TracerPropagationEnabled, false)
  )

const trust = (
  ca: JwtProvider.CertificateAuthorities | undefined
): Effect.Effect<{ readonly ca?: string }, NotFetched> => {
  switch (ca?._tag) {
    case undefined:
      return Effect.succeed({})
    case "Inline":
      return Effect.succeed({ ca: ca.pem })
    case "File":
      return Effect.tryPromise({
        try: async () => ({ ca: await readFile(ca.path, "utf8") }),
        catch: (cause) => new NotFetched({ why: `its certificate authorities: ${rootOf(cause)}` })
      })
    case "Variable": {
      const pem = process.env[ca.name]
      return pem === undefined
        ? Effect.fail(new NotFetched({ why: `the variable ${ca.name}, with its certificate authorities, is not set` }))
        : Effect.succeed({ ca: pem })
    }
  }
}

/** User and query may be there to prove who asks. */
const withoutSecrets = (uri: string): string => uri.replace(/\/\/[^/?#]*@/, "//").replace(/[?#].*$/s, "")

/** What undici and Effect wrap says the least. */
const rootOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return String(error)
  if ("reason" in error && typeof error.reason === "object" && error.reason !== null) return rootOf(error.reason)
  if ("response" in error && error instanceof Object && "description" in error) return String(error.description)
  if ("cause" in error && error.cause instanceof Error) return rootOf(error.cause)
  return error instanceof Error ? error.message || error.name : "the connection failed"
}
