import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import { Effect, Layer, ManagedRuntime, References, Tracer } from "effect"
import { HttpClient } from "effect/http"
import * as MeshHttpClient from "../../../src/native/MeshHttpClient.ts"
import * as Side from "./Side.ts"

/** Asked for one run of so many seconds, with so many requests at a time. */
export interface Run {
  readonly seconds: number
  readonly concurrency: number
}

export interface Ran {
  readonly requests: number
  readonly perSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

type Loop = (run: Run, done: (millis: number) => void) => Promise<void>

const tls = (side: Side.Side) => ({
  cert: side.chainPem,
  key: side.keyPem,
  ca: side.rootPem,
  ciphers: side.ciphers,
  checkServerIdentity: () => undefined
})

const raw = (side: Side.Side): Loop => {
  const pool = new Undici.Pool(`https://127.0.0.1:${side.port}`, { connect: tls(side), allowH2: false })
  return async ({ concurrency, seconds }, done) => {
    const until = performance.now() + seconds * 1000
    const one = async () => {
      while (performance.now() < until) {
        const started = performance.now()
        const { body, statusCode } = await pool.request({ method: "GET", path: "/items/lamp" })
        const json = await body.json()
        if (statusCode !== 200 || json === null) throw new Error(`status ${statusCode}`)
        done(performance.now() - started)
      }
    }
    await Promise.all(Array.from({ length: concurrency }, one))
  }
}

const trace = Tracer.externalSpan({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" })

const effect = (layer: Layer.Layer<HttpClient.HttpClient>, url: string, traced = false): Loop => {
  const runtime = ManagedRuntime.make(layer.pipe(
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "Error")),
    Layer.provideMerge(traced ? Layer.succeed(Tracer.ParentSpan, trace) : Layer.empty)
  ))
  const one = Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const response = yield* client.get(url)
    const json = yield* response.json
    if (response.status !== 200 || json === null) return yield* Effect.die(`status ${response.status}`)
  })
  return ({ concurrency, seconds }, done) => {
    const until = performance.now() + seconds * 1000
    const timed = Effect.suspend(() => {
      const started = performance.now()
      return Effect.map(one, () => done(performance.now() - started))
    })
    const loop = Effect.whileLoop({ while: () => performance.now() < until, body: () => timed, step: () => {} })
    return runtime.runPromise(
      Effect.forEach(Array.from({ length: concurrency }), () => loop, { concurrency: "unbounded", discard: true })
    )
  }
}

const loopOf = (side: Side.Side): Loop => {
  switch (side.kind) {
    case "raw":
      return raw(side)
    case "mesh":
    case "traced":
      return effect(
        MeshHttpClient.layer().pipe(Layer.provide(Side.mesh(side))),
        "http://api.service.consul/items/lamp",
        side.kind === "traced"
      )
    case "effect":
    case "plain":
      return effect(
        Layer.effect(HttpClient.HttpClient, NodeHttpClient.makeUndici).pipe(
          Layer.provide(NodeHttpClient.layerDispatcherOptions({ connect: tls(side), allowH2: false }))
        ),
        `${side.kind === "plain" ? "http" : "https"}://127.0.0.1:${side.port}/items/lamp`
      )
  }
}

let loop: Loop | undefined

process.on("message", (message: Side.Side | Run) => {
  if ("kind" in message) {
    loop = loopOf(message)
    process.send?.("ready")
    return
  }
  const latencies: Array<number> = []
  const started = performance.now()
  void loop!(message, (millis) => latencies.push(millis)).then(() => {
    const seconds = (performance.now() - started) / 1000
    latencies.sort((a, b) => a - b)
    const at = (share: number) => latencies[Math.floor(latencies.length * share)]!
    process.send?.(
      { requests: latencies.length, perSecond: latencies.length / seconds, p50: at(0.5), p99: at(0.99) } satisfies Ran
    )
  })
})
process.on("disconnect", () => process.exit(0))
