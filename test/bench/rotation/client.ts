/**
 * Calls at a fixed rate, whether answers come or not: half of them over HTTP/1.1, half over HTTP/2. Beside that, connections
 * that stay open echo, and new ones are made. Told for how long, it says how it went.
 */
import type * as Net from "node:net"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Context, Effect, Layer, Option, References } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import * as ConsulClient from "../../../src/consul/ConsulClient.ts"
import * as Mesh from "../../../src/mesh/Mesh.ts"
import * as MeshDialer from "../../../src/outbound/MeshDialer.ts"
import * as MeshHttpClient from "../../../src/native/MeshHttpClient.ts"

export interface Start {
  readonly agent: string
  readonly service: string
  readonly http: string
  readonly echo: string
  /** Requests in a second. */
  readonly rate: number
}

export interface Run {
  readonly seconds: number
}

export interface Ran {
  readonly sent: number
  readonly failures: ReadonlyArray<string>
  /** From the moment when each was due, in milliseconds. */
  readonly latencies: ReadonlyArray<number>
  /** Answers on the connections that stay open. */
  readonly echoes: number
  /** Connections that were made, used once and ended. */
  readonly dialled: number
  /** For how long the loop stood still at most, in milliseconds. */
  readonly stall: number
}

const kept = 20
const everyMillis = 5
const dialsPerSecond = 50

const program = ({ agent, echo, http, rate, service }: Start) =>
  Effect.gen(function*() {
    const consul = yield* Layer.build(ConsulClient.layer({ address: agent }))
    const member = yield* Effect.provideContext(Layer.build(Mesh.layer({ service })), consul)
    const client = (http2: boolean) =>
      Effect.map(
        Effect.provideContext(
          Layer.build(Layer.fresh(MeshHttpClient.layer({ pool: { http2, idleMillis: 3_600_000 } }))),
          member
        ),
        (context) => Context.get(context, HttpClient.HttpClient)
      )
    const clients = [yield* client(false), yield* client(true)] as const
    const dialer = Context.get(member, MeshDialer.MeshDialer)
    const context = yield* Effect.context<never>()
    const fork = Effect.runForkWith(context)
    let ran: { sent: number; failures: Array<string>; latencies: Array<number>; echoes: number; dialled: number }
    const begin = () => {
      ran = { sent: 0, failures: [], latencies: [], echoes: 0, dialled: 0 }
    }
    begin()
    const failed = (what: string) => (error: string | { readonly message: string }) => {
      const message = typeof error === "string" ? error : error.message
      ran.failures.push(
        `${what}: ${
          Option.match(MeshHttpClient.failure(error), { onNone: () => message, onSome: ({ message }) => message })
        }`
      )
    }

    const request = (due: number, index: number) =>
      clients[index % 2]!.get(`http://${http}/`).pipe(
        Effect.flatMap(HttpClientResponse.filterStatusOk),
        Effect.flatMap((response) => response.text),
        Effect.match({
          onSuccess: () => void ran.latencies.push(performance.now() - due),
          onFailure: failed(index % 2 === 0 ? "HTTP/1.1" : "HTTP/2")
        })
      )
    const answered = (socket: Net.Socket) =>
      Effect.callback<void, string>((resume) => {
        const settle = (effect: Effect.Effect<void, string>) => {
          socket.off("data", onData).off("close", onClose)
          resume(effect)
        }
        const onData = () => settle(Effect.void)
        const onClose = () => settle(Effect.fail("the connection ended"))
        socket.on("data", onData).on("close", onClose)
        socket.write("ping")
      })
    const dial = dialer.dial({ service: echo })
    const echoed = (socket: Net.Socket) => Effect.map(answered(socket), () => void ran.echoes++)
    const keep = dial.pipe(
      Effect.tap(({ socket }) => Effect.sync(() => socket.on("error", () => {}))),
      Effect.flatMap(({ socket }) => Effect.forever(Effect.delay(echoed(socket), "10 millis"))),
      Effect.catch((error) => Effect.sync(() => failed("kept")(error))),
      Effect.scoped
    )
    for (let i = 0; i < kept; i++) yield* Effect.forkScoped(keep)
    const once = dial.pipe(
      Effect.tap(({ socket }) => Effect.sync(() => socket.on("error", () => {}))),
      Effect.flatMap(({ socket }) => Effect.map(answered(socket), () => void ran.dialled++)),
      Effect.catch((error) => Effect.sync(() => failed("new")(error))),
      Effect.scoped
    )
    yield* Effect.forkScoped(Effect.forever(Effect.delay(once, 1000 / dialsPerSecond)))

    const turns = monitorEventLoopDelay({ resolution: 1 })
    turns.enable()
    const load = ({ seconds }: Run) => {
      begin()
      turns.reset()
      const started = performance.now()
      const total = Math.round(rate * seconds)
      const timer = setInterval(() => {
        const due = Math.min(total, Math.floor((performance.now() - started) / 1000 * rate))
        for (; ran.sent < due; ran.sent++) fork(request(started + ran.sent * 1000 / rate, ran.sent))
        if (ran.sent < total) return
        clearInterval(timer)
        const whole = () => {
          const http = ran.failures.filter((failure) => failure.startsWith("HTTP"))
          if (ran.latencies.length + http.length === total) {
            process.send?.({ ...ran, stall: turns.max / 1e6 } satisfies Ran)
          } else setTimeout(whole, everyMillis)
        }
        whole()
      }, everyMillis)
    }
    process.on("message", load)
    process.send?.("joined")
    return yield* Effect.never
  }).pipe(
    Effect.scoped,
    Effect.provideService(References.MinimumLogLevel, "Error"),
    Effect.provideService(HttpClient.TracerDisabledWhen, () => true)
  )

process.once("message", (message: Start) => void Effect.runFork(program(message)))
process.on("disconnect", () => process.exit(0))
