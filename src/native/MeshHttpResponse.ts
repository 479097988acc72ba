/** Effect's view of a `ResponseBuffer`. */
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Inspectable, Option, Pipeable, Stream } from "effect"
import {
  Cookies,
  Headers,
  HttpClientError,
  type HttpClientRequest,
  HttpClientResponse,
  HttpIncomingMessage,
  UrlParams
} from "effect/http"
import type { Schema } from "effect"
import type * as Socket from "effect/socket/Socket"
import type * as ResponseBuffer from "./ResponseBuffer.ts"
import * as RequestFailed from "../outbound/http/RequestFailed.ts"

export class MeshHttpResponse extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpIncomingMessage.TypeId]: typeof HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: typeof HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly remoteAddress: Option.Option<string> = Option.none()
  readonly request: HttpClientRequest.HttpClientRequest
  readonly #url: URL
  readonly #reply: ResponseBuffer.ResponseBuffer

  constructor(request: HttpClientRequest.HttpClientRequest, url: URL, reply: ResponseBuffer.ResponseBuffer) {
    super()
    this.request = request
    this.#url = url
    this.#reply = reply
  }

  get url(): string {
    return this.#url.href.split("#")[0]!
  }

  get status(): number {
    return this.#reply.status
  }

  get headers(): Headers.Headers {
    return Headers.fromInput(this.#reply.headers)
  }

  get cookies(): Cookies.Cookies {
    const header = this.#reply.headers["set-cookie"]
    return header === undefined ? Cookies.empty : Cookies.fromSetCookie(header)
  }

  get json(): Effect.Effect<Schema.Json, HttpClientError.HttpClientError> {
    return this.#read((bytes) => bytes.length === 0 ? null : JSON.parse(utf8(bytes)))
  }

  get text(): Effect.Effect<string, HttpClientError.HttpClientError> {
    return this.#read(utf8)
  }

  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, HttpClientError.HttpClientError> {
    // A `?` at the start is data in a form, and would be dropped as that of a query.
    return this.#read((bytes) => UrlParams.fromInput(new URLSearchParams(utf8(bytes).replace(/^\?/, "%3F"))))
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, HttpClientError.HttpClientError> {
    return this.#read((bytes) => Uint8Array.from(bytes).buffer)
  }

  get formData(): Effect.Effect<FormData, HttpClientError.HttpClientError> {
    return Effect.flatMap(this.arrayBuffer, (body) =>
      Effect.tryPromise({
        try: () => new Response(body, { headers: this.headers }).formData(),
        catch: (cause) => this.#failure(cause)
      }))
  }

  get stream(): Stream.Stream<Uint8Array, HttpClientError.HttpClientError> {
    return NodeStream.fromReadable({
      evaluate: () => this.#reply.stream(),
      onError: (cause) => this.#failure(cause)
    })
  }

  get upgrade(): Effect.Effect<Socket.Socket, HttpClientError.HttpClientError> {
    return Effect.fail(
      new HttpClientError.HttpClientError({
        reason: new HttpClientError.StatusCodeError({
          request: this.request,
          response: this,
          description: "expected 101 Switching Protocols"
        })
      })
    )
  }

  override toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "effect/http/HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }

  pipe() {
    return Pipeable.pipeArguments(this, arguments)
  }

  #read<A>(decode: (bytes: Buffer) => A): Effect.Effect<A, HttpClientError.HttpClientError> {
    return Effect.suspend(() => {
      try {
        const bytes = this.#reply.bytes()
        if (bytes !== undefined) return Effect.succeed(decode(bytes))
      } catch (cause) {
        return Effect.fail(this.#failure(cause))
      }
      return Effect.flatMap(
        Effect.callback<void>((resume) => this.#reply.whenRead(() => resume(Effect.void))),
        () => this.#read(decode)
      )
    })
  }

  #failure(cause: unknown): HttpClientError.HttpClientError {
    return new HttpClientError.HttpClientError({
      reason: new HttpClientError.DecodeError({
        request: this.request,
        response: this,
        cause,
        ...RequestFailed.described(cause)
      })
    })
  }
}

/** Without a byte order mark, as `TextDecoder` has it. */
const utf8 = (bytes: Buffer): string =>
  bytes.length > 2 && bytes[0] === 0xEF && bytes[1] === 0xBB && bytes[2] === 0xBF
    ? bytes.toString("utf8", 3)
    : bytes.toString("utf8")
