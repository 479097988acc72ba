/** One run of a TCP or HTTP check: what it says, never a failure. */
import { Agent } from "@effect/platform-node/Undici"
import { Data, Duration, Effect } from "effect"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type * as CheckDefinition from "./CheckDefinition.ts"

export interface Outcome {
  readonly status: "passing" | "warning" | "critical"
  readonly output: string
}

class ProbeFailure extends Data.TaggedError("ProbeFailure")<{ readonly reason: string }> {}

type Run<Tag extends CheckDefinition.Run["_tag"]> = Extract<CheckDefinition.Run, { readonly _tag: Tag }>

/** Passing when the connection opens. */
export const tcp = (run: Run<"Tcp">): Effect.Effect<Outcome> => {
  const { host, port } = split(run.address)
  return Effect.callback<Outcome>((resume) => {
    const socket = run.tls
      ? Tls.connect({ host, port, rejectUnauthorized: false, servername: Net.isIP(host) === 0 ? host : "" })
      : Net.connect({ host, port })
    socket.once(run.tls ? "secureConnect" : "connect", () => {
      socket.destroy()
      resume(Effect.succeed({ status: "passing", output: `TCP connect ${run.address}: Success` }))
    })
    socket.once(
      "error",
      (error) => resume(Effect.succeed({ status: "critical", output: `dial tcp ${run.address}: ${goError(error)}` }))
    )
    return Effect.sync(() => socket.destroy())
  }).pipe(
    Effect.timeoutOrElse({
      duration: run.period.timeout,
      orElse: () => Effect.succeed({ status: "critical", output: `dial tcp ${run.address}: i/o timeout` } as const)
    })
  )
}

/** 2xx is passing, 429 warning, anything else critical. */
export const http = (run: Run<"Http">): Effect.Effect<Outcome> =>
  Effect.acquireUseRelease(
    Effect.sync(() =>
      new Agent({
        connect: {
          rejectUnauthorized: run.verify,
          ...(run.serverName !== "" && { servername: run.serverName })
        }
      })
    ),
    (dispatcher) =>
      Effect.tryPromise({
        try: async (signal) => {
          let url = new URL(run.url)
          for (let redirects = 0;; redirects++) {
            const response = await dispatcher.request({
              origin: url.origin,
              path: url.pathname + url.search,
              method: run.method.toUpperCase(),
              headers: {
                "user-agent": "Consul Health Check",
                accept: "text/plain, text/*, */*",
                ...Object.fromEntries(Object.entries(run.headers).map(([name, values]) => [name, [...values]]))
              },
              ...(run.body !== "" && { body: run.body }),
              signal
            })
            const location = response.headers["location"]
            if (
              run.followRedirects && response.statusCode >= 300 && response.statusCode < 400 &&
              typeof location === "string" && redirects < 10
            ) {
              await response.body.dump()
              url = new URL(location, url)
              continue
            }
            const body = await beginning(response.body, run.maximumOutput)
            return { status: response.statusCode, text: response.statusText, body }
          }
        },
        catch: (cause) => new ProbeFailure({ reason: goError(cause) })
      }).pipe(
        Effect.map(({ body, status, text }): Outcome => ({
          status: status >= 200 && status < 300 ? "passing" : status === 429 ? "warning" : "critical",
          output: `HTTP ${run.method.toUpperCase()} ${run.url}: ${status} ${text} Output: ${body}`
        })),
        Effect.timeoutOrElse({
          duration: run.period.timeout,
          orElse: () =>
            Effect.succeed<Outcome>({
              status: "critical",
              output: `${run.method.toUpperCase()} "${run.url}": no answer within ${
                Duration.format(run.period.timeout)
              }`
            })
        }),
        Effect.catch((error) =>
          Effect.succeed<Outcome>({
            status: "critical",
            output: `${run.method.toUpperCase()} "${run.url}": ${error.reason}`
          })
        )
      ),
    (dispatcher) => Effect.promise(() => dispatcher.destroy())
  )

const beginning = async (body: AsyncIterable<Uint8Array>, maximum: number): Promise<string> => {
  const chunks: Array<Uint8Array> = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= maximum) break
  }
  return Buffer.concat(chunks).subarray(0, maximum).toString("utf8")
}

const split = (address: string): { readonly host: string; readonly port: number } => {
  const colon = address.lastIndexOf(":")
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)) || 0 }
}

/** In the words of Go's network errors, which operators know. */
const goError = (error: unknown): string => {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
  return code === "ECONNREFUSED"
    ? "connect: connection refused"
    : code === "ECONNRESET"
    ? "read: connection reset by peer"
    : code === "EHOSTUNREACH"
    ? "connect: no route to host"
    : error instanceof Error
    ? error.message
    : String(error)
}
