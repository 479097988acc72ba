/** Asks the admin interface of another process. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, type Scope } from "effect"
import { HttpClient, HttpClientError } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import * as TransportFailure from "../consul/TransportFailure.ts"
import * as Listening from "../net/Listening.ts"
import * as AdminApi from "./AdminApi.ts"

export interface AdminClient {
  /** As people write it: `unix:/path`, or `host:port`. */
  readonly address: string
  readonly api: HttpApiClient.ForApi<typeof AdminApi.AdminApi>
  /** With exemplars where OpenMetrics is wanted. */
  readonly metrics: (accept?: string) => Effect.Effect<string, HttpClientError.HttpClientError>
}

export const make = Effect.fnUntraced(function*(
  bind: Listening.Bind
): Effect.fn.Return<AdminClient, never, Scope.Scope> {
  const isPath = "path" in bind
  const address = isPath ? `unix:${bind.path}` : Listening.format(bind)
  const dispatcher = yield* NodeHttpClient.makeDispatcherOptions({
    connections: 8,
    connect: { timeout: 3000, ...(isPath ? { socketPath: bind.path } : {}) }
  })
  const httpClient = yield* Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, dispatcher)
  const baseUrl = isPath ? "http://localhost" : `http://${address}`
  const api = yield* HttpApiClient.makeWith(AdminApi.AdminApi, { baseUrl, httpClient })
  return {
    address,
    api,
    metrics: (accept = "text/plain") =>
      Effect.flatMap(
        HttpClient.filterStatusOk(httpClient).get(`${baseUrl}/metrics`, { headers: { accept } }),
        (response) => response.text
      )
  }
})

/** Why it did not answer, for people. */
export const whyOf = (error: unknown): string =>
  HttpClientError.isHttpClientError(error) && error.response === undefined
    ? TransportFailure.reasonOf("cause" in error.reason ? error.reason.cause : error)
    : "what answers there is no admin interface of a sidecar"
