/** HTTP clients of the mesh that know nothing of this package: Node's own. Closed with the test. */
import * as Http2 from "node:http2"
import * as Https from "node:https"
import type * as Tls from "node:tls"
import { Effect, Schema, type Scope } from "effect"
import type * as SecureContexts from "../../src/tls/SecureContexts.ts"

export interface Ask {
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly body: string
}

/** No whole answer came. */
export class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", { why: Schema.String }) {
  override readonly message = this.why
}

export type Client = (ask?: Ask) => Effect.Effect<Answer, NoAnswer>

/** One kept HTTP/1.1 connection. */
export const http1 = (port: number, material: SecureContexts.Material): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Https.Agent({ keepAlive: true, maxSockets: 1 })),
      (agent) => Effect.sync(() => agent.destroy())
    ),
    (agent) => ({ body, headers, method, path } = {}) =>
      Effect.callback<Answer, NoAnswer>((resume) => {
        const options: Https.RequestOptions & Tls.ConnectionOptions = {
          agent,
          host: "127.0.0.1",
          port,
          path: path ?? "/",
          method: method ?? "GET",
          headers: { ...headers },
          secureContext: material.client,
          rejectUnauthorized: false
        }
        const request = Https.request(options, (response) => {
          const chunks: Array<Buffer> = []
          response.on("data", (chunk: Buffer) => chunks.push(chunk))
          response.on("error", (error) => resume(Effect.fail(new NoAnswer({ why: error.message }))))
          response.on("end", () =>
            resume(Effect.succeed({
              status: response.statusCode!,
              headers: response.headers,
              body: Buffer.concat(chunks).toString()
            })))
        })
        request.on("error", (error) => resume(Effect.fail(new NoAnswer({ why: error.message }))))
        request.end(body)
        return Effect.sync(() => request.destroy())
      })
  )

export const session = (
  port: number,
  material: SecureContexts.Material,
  options: Http2.SecureClientSessionOptions = {}
): Effect.Effect<Http2.ClientHttp2Session, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const client = Http2.connect(`https://127.0.0.1:${port}`, {
        ...options,
        secureContext: material.client,
        rejectUnauthorized: false
      })
      client.on("error", () => {})
      return client
    }),
    (client) => Effect.sync(() => client.destroy())
  )

/** One HTTP/2 connection. */
export const http2 = (port: number, material: SecureContexts.Material): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.map(session(port, material), (client) => (ask) => request2(client, ask))

export const request2 = (
  client: Http2.ClientHttp2Session,
  { body, headers, method, path }: Ask = {}
): Effect.Effect<Answer, NoAnswer> =>
  Effect.callback((resume) => {
    const stream = client.request({ ":path": path ?? "/", ":method": method ?? "GET", ...headers })
    let head: Http2.IncomingHttpHeaders & Http2.IncomingHttpStatusHeader = {}
    const chunks: Array<Buffer> = []
    stream.on("response", (received) => {
      head = received
    })
    stream.on("data", (chunk: Buffer) => chunks.push(chunk))
    stream.on("error", (error) => resume(Effect.fail(new NoAnswer({ why: error.message }))))
    stream.on("close", () =>
      resume(
        head[":status"] === undefined || stream.rstCode !== 0
          ? Effect.fail(new NoAnswer({ why: `the stream was reset: ${stream.rstCode}` }))
          : Effect.succeed({ status: head[":status"], headers: head, body: Buffer.concat(chunks).toString() })
      ))
    stream.end(body)
    return Effect.sync(() => stream.close(Http2.constants.NGHTTP2_CANCEL))
  })
