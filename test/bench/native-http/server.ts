import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Effect, Layer, References, Scope } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import * as Http from "node:http"
import * as Https from "node:https"
import type { AddressInfo } from "node:net"
import * as MeshHttpServer from "../../../src/native/MeshHttpServer.ts"
import * as Side from "./Side.ts"

const app = HttpRouter.serve(
  HttpRouter.add("GET", "/items/:item", HttpServerResponse.json(Side.answer).pipe(Effect.orDie)),
  { disableLogger: true, disableListenLog: true }
).pipe(Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "Error")))

const tls = (side: Side.Side) => ({
  cert: side.chainPem,
  key: side.keyPem,
  ca: side.rootPem,
  ciphers: side.ciphers,
  requestCert: true,
  rejectUnauthorized: true
})

const listen = async (side: Side.Side): Promise<number> => {
  if (side.kind === "raw") {
    const server = Https.createServer(tls(side), (request, response) => {
      if (request.method !== "GET" || !request.url!.startsWith("/items/")) return response.writeHead(404).end()
      const body = JSON.stringify(Side.answer)
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
      response.end(body)
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    return (server.address() as AddressInfo).port
  }
  const server: Layer.Layer<Layer.Success<ReturnType<typeof NodeHttpServer.layer>>, unknown> =
    side.kind === "mesh" || side.kind === "traced"
      ? MeshHttpServer.layer({ host: "127.0.0.1", port: 0 }).pipe(Layer.provide(Side.mesh(side)))
      : NodeHttpServer.layer(
        () => side.kind === "effect" ? Https.createServer(tls(side)) : Http.createServer(),
        { host: "127.0.0.1", port: 0 }
      )
  const context = await Effect.runPromise(
    Layer.buildWithScope(Layer.provideMerge(app, server), Scope.makeUnsafe()).pipe(
      Effect.provideService(References.MinimumLogLevel, "Error")
    )
  )
  const { address } = Context.get(context, HttpServer.HttpServer)
  return address._tag === "UnixPathAddress" ? 0 : address.port
}

process.on("message", (side: Side.Side) => void listen(side).then((port) => process.send?.({ port })))
process.on("disconnect", () => process.exit(0))
