/**
 * An instance of a service that does with a request what its `x-script` says, as the application of the recordings: `fail=K&key=X` only
 * the first K requests with this key, `status`, `header=Name:Value`, `delay` before the head, `reset` in place of an answer, `size` and
 * `pause` in the middle of the body, `cut` there in place of the rest.
 */
import * as Http from "node:http"
import * as Https from "node:https"
import { Effect } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Certificates from "./certificates.ts"

export interface Seen {
  readonly method: string
  readonly target: string
  /** Of the body, as far as it came. */
  bytes: number
}

export const start = Effect.fnUntraced(function*(authority: Certificates.Authority, service: string, name = service) {
  const { chainPem, keyPem } = yield* Effect.promise(() =>
    Certificates.issue(authority, { uris: [SpiffeId.format(Certificates.service(service))] })
  )
  const seen: Array<Seen> = []
  const tries = new Map<string, number>()

  const answer = async (request: Http.IncomingMessage, response: Http.ServerResponse): Promise<void> => {
    const entry: Seen = { method: request.method ?? "", target: request.url ?? "", bytes: 0 }
    seen.push(entry)
    for await (const chunk of request) entry.bytes += chunk.length
    const script = new URLSearchParams(String(request.headers["x-script"] ?? ""))
    const tried = (tries.get(script.get("key") ?? "") ?? 0) + 1
    if (script.has("fail")) tries.set(script.get("key") ?? "", tried)
    const obeys = !script.has("fail") || tried <= Number(script.get("fail"))
    const told = obeys ? script : new URLSearchParams()
    await millis(Number(told.get("delay")))
    if (told.has("reset")) return void request.socket.destroy()
    const body = "x".repeat(Number(told.get("size"))) || name
    const headers = told.getAll("header").map((line) => line.split(/:(.*)/).slice(0, 2))
    response.writeHead(Number(told.get("status") ?? 200), {
      ...Object.fromEntries(headers),
      "content-length": body.length
    })
    response.write(body.slice(0, body.length / 2))
    await millis(Number(told.get("pause")))
    if (told.has("cut")) return void request.socket.destroy()
    response.end(body.slice(body.length / 2))
  }

  const server = yield* Effect.acquireRelease(
    Effect.callback<Https.Server>((resume) => {
      const server = Https.createServer(
        { cert: chainPem, key: keyPem, requestCert: true, rejectUnauthorized: false },
        (request, response) => void answer(request, response).catch(() => {})
      )
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  const address = server.address()
  return { port: typeof address === "object" && address !== null ? address.port : 0, seen }
})

const millis = (duration: number): Promise<void> =>
  duration === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, duration))
