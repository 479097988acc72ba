/** One run of a check over HTTP/2: a ping, or a question in the protocol of gRPC about health. */
import * as Http2 from "node:http2"
import { Duration, Effect } from "effect"
import type * as CheckDefinition from "./CheckDefinition.ts"
import type * as ProbeCheck from "./ProbeCheck.ts"

type Run<Tag extends CheckDefinition.Run["_tag"]> = Extract<CheckDefinition.Run, { readonly _tag: Tag }>

/** `ask` says how it went, once; the session is gone afterwards. */
const over = (
  run: Run<"Grpc"> | Run<"H2ping">,
  ask: (session: Http2.ClientHttp2Session, done: (failure: string | undefined) => void) => void,
  passing: string
): Effect.Effect<ProbeCheck.Outcome> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const session = Http2.connect(`${run.tls ? "https" : "http"}://${run.address}`, {
        rejectUnauthorized: run.verify,
        ...(run.serverName !== "" && { servername: run.serverName })
      })
      session.on("error", () => {}) // one more may come when it is destroyed
      return session
    }),
    (session) =>
      Effect.callback<ProbeCheck.Outcome>((resume) => {
        const done = (failure: string | undefined) =>
          resume(
            Effect.succeed(
              failure === undefined ? { status: "passing", output: passing } : { status: "critical", output: failure }
            )
          )
        session.once("error", (error) => done(`dial ${run.address}: ${error.message}`))
        session.once("close", () => done(`${run.address} closed the connection`))
        ask(session, done)
      }),
    (session) => Effect.sync(() => session.destroy())
  ).pipe(Effect.timeoutOrElse({
    duration: run.period.timeout,
    orElse: () =>
      Effect.succeed(
        {
          status: "critical",
          output: `${run.address}: no answer within ${Duration.format(run.period.timeout)}`
        } as const
      )
  }))

/** Not before it is connected: a ping would be cancelled. */
export const ping = (run: Run<"H2ping">): Effect.Effect<ProbeCheck.Outcome> =>
  over(
    run,
    (session, done) =>
      session.once("connect", () =>
        session.ping((error) => done(error === null ? undefined : `HTTP2 ping failed: ${error.message}`))),
    "HTTP2 ping was successful"
  )

/** Passing when the server says that it serves (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). */
export const grpc = (run: Run<"Grpc">): Effect.Effect<ProbeCheck.Outcome> => {
  const target = run.service === "" ? run.address : `${run.address}/${run.service}`
  return over(run, (session, done) => {
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      "user-agent": "Consul Health Check",
      te: "trailers"
    })
    let answer = Buffer.alloc(0)
    let status: Http2.IncomingHttpHeaders = {}
    stream.on("response", (headers) => status = { ...status, ...headers })
    stream.on("trailers", (headers) => status = { ...status, ...headers })
    stream.on("data", (chunk: Buffer) => {
      if (answer.length < 1024) answer = Buffer.concat([answer, chunk])
    })
    stream.on("error", (error) => done(`gRPC check ${target}: ${error.message}`))
    stream.on("close", () => {
      const code = status["grpc-status"]
      if (code !== "0") {
        return done(
          `gRPC check ${target}: ${
            code === undefined
              ? "the answer is not one of gRPC"
              : `status ${code} ${status["grpc-message"] ?? ""}`.trim()
          }`
        )
      }
      const serving = servingStatus(answer)
      done(serving === "SERVING" ? undefined : `gRPC ${target} serving status: ${serving}`)
    })
    stream.end(question(run.service))
  }, `gRPC check ${target}: success`)
}

/** A message of one text, in the frame of gRPC. */
const question = (service: string): Buffer => {
  const text = Buffer.from(service)
  const message = text.length === 0 ? text : Buffer.concat([Buffer.from([0x0a, ...varint(text.length)]), text])
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

const varint = (value: number): ReadonlyArray<number> =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]

/** A message of one number, which is left out where it is 0. */
const servingStatus = (frame: Buffer): string =>
  ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"][frame[5] === 0x08 ? frame[6] ?? 0 : 0] ?? "UNKNOWN"
