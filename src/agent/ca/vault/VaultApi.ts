/** Vault's HTTP API, as far as it is needed: a path is read or written, and answers JSON in an envelope, or PEM. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Redacted, Schema, type Scope } from "effect"
import { Headers, HttpClient, type HttpClientError, HttpClientRequest } from "effect/http"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import * as Provider from "../Provider.ts"
import type * as VaultSettings from "./VaultSettings.ts"

export interface Request {
  readonly method: "GET" | "POST" | "DELETE"
  /** Without `/v1/`. */
  readonly path: string
  readonly namespace: string
  /** Undefined: for a login. */
  readonly token: Redacted.Redacted<string> | undefined
  readonly body?: { readonly [name: string]: Schema.Json } | undefined
}

/** Vault's no, or none of its answers. */
export class VaultError extends Schema.TaggedError<VaultError>()("VaultError", {
  request: Schema.String,
  /** 0: it did not answer. */
  status: Schema.Finite,
  why: Schema.String
}) {
  override readonly message = this.status === 0
    ? `Vault did not answer ${this.request}: ${this.why}`
    : `Vault answered ${this.status} to ${this.request}: ${this.why}${
      this.status === 403 ? ". Its token is not valid, or its policy does not allow that" : ""
    }`
}

export const toProviderError = ({ message }: VaultError): Provider.ProviderError =>
  new Provider.ProviderError({ why: message })

export interface VaultApi {
  /** Empty where Vault has nothing to say. */
  readonly text: (request: Request) => Effect.Effect<string, VaultError>
  readonly json: <A, I>(schema: Schema.Codec<A, I>, request: Request) => Effect.Effect<A, VaultError>
}

/** What becomes of a request that is not answered. */
const timeout = "10 seconds"

export const make = Effect.fnUntraced(function*(
  settings: VaultSettings.VaultSettings
): Effect.fn.Return<VaultApi, Provider.ProviderError, Scope.Scope> {
  const dispatcher = yield* NodeHttpClient.makeDispatcherOptions({
    connections: 16,
    connect: { timeout: 5000, ...(yield* tls(settings.tls)) }
  })
  const http = yield* Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, dispatcher).pipe(
    // Spans carry headers: not this one.
    Effect.map(HttpClient.transform((effect) => Effect.updateService(effect, Headers.CurrentRedactedNames, redacted)))
  )
  const text = (request: Request) => {
    const what = `${request.method} ${request.path}`
    const failed = (status: number, why: string) => new VaultError({ request: what, status, why })
    return http.execute(toHttp(settings.address, request)).pipe(
      Effect.flatMap((response) => Effect.map(response.text, (body) => ({ status: response.status, body }))),
      Effect.timeout(timeout),
      Effect.mapError((error) => failed(0, error._tag === "TimeoutError" ? `not within ${timeout}` : reasonOf(error))),
      Effect.flatMap(({ body, status }) =>
        status < 300 ? Effect.succeed(body) : Effect.fail(failed(status, errors(body)))
      )
    )
  }
  return {
    text,
    json: (schema, request) =>
      Effect.flatMap(text(request), (body) =>
        Effect.mapError(
          Schema.decodeEffect(Schema.fromJsonString(schema))(body === "" ? "{}" : body),
          () =>
            new VaultError({
              request: `${request.method} ${request.path}`,
              status: 200,
              why: "what it says is not what Vault answers there. Is the address one of Vault?"
            })
        ))
  }
})

const toHttp = (address: string, { body, method, namespace, path, token }: Request) => {
  const url = `${address}/v1/${path}`
  const request = HttpClientRequest.make(method)(url).pipe(
    HttpClientRequest.setHeaders({
      "x-vault-request": "true",
      ...(token === undefined ? {} : { "x-vault-token": Redacted.value(token) }),
      ...(namespace === "" ? {} : { "x-vault-namespace": namespace })
    })
  )
  return body === undefined ? request : HttpClientRequest.bodyJsonUnsafe(request, body)
}

const redacted = (names: ReadonlyArray<string | RegExp>) => [...names, "x-vault-token"]

const reasonOf = (error: HttpClientError.HttpClientError): string => {
  const { reason } = error
  const cause = "cause" in reason ? reason.cause : undefined
  return cause instanceof Error ? cause.message || String(cause) : error.message
}

const Errors = Schema.fromJsonString(Schema.Struct({ errors: Schema.Array(Schema.String) }))

/** What Vault says is wrong. */
const errors = (body: string): string => {
  const decoded = Schema.decodeOption(Errors)(body)
  const said = decoded._tag === "Some" ? decoded.value.errors.join("; ") : body
  return said.replace(/\s+/g, " ").trim().slice(0, 512) || "without a reason"
}

const tls = Effect.fnUntraced(function*(settings: VaultSettings.VaultSettings["tls"]) {
  const folder = settings.caPath === ""
    ? []
    : yield* reading("CAPath", settings.caPath, () => readdir(settings.caPath))
  const ca = yield* Effect.forEach(
    [
      ...(settings.caFile === "" ? [] : [settings.caFile]),
      ...folder.toSorted().map((name) => join(settings.caPath, name))
    ],
    (path) => file("the file of authorities", path)
  )
  return {
    rejectUnauthorized: !settings.skipVerify,
    ...(ca.length === 0 ? {} : { ca }),
    ...(settings.certFile === "" ? {} : { cert: yield* file("CertFile", settings.certFile) }),
    ...(settings.keyFile === "" ? {} : { key: yield* file("KeyFile", settings.keyFile) }),
    ...(settings.serverName === "" ? {} : { servername: settings.serverName })
  }
})

const file = (what: string, path: string) => reading(what, path, () => readFile(path, "utf8"))

const reading = <A>(what: string, path: string, read: () => Promise<A>) =>
  Effect.tryPromise({
    try: read,
    catch: (cause) =>
      new Provider.ProviderError({
        why: `${what} ${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })
