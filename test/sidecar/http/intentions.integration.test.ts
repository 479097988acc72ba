/** Intentions that change while a request is at hand. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger } from "effect"
import * as RefusalLines from "../../../src/observe/RefusalLines.ts"
import * as EchoService from "../../support/echoService.ts"
import * as HttpApplication from "../../support/httpApplication.ts"
import * as SidecarMesh from "../../support/sidecarMesh.ts"
import * as Sockets from "../../support/sockets.ts"

describe("a request at hand that a change of intentions refuses", () => {
  it.live("is answered 403 where no answer has begun, and its caller goes on being answered", () =>
    Effect.gen(function*() {
      let asked = 0
      let left = 0
      const app = yield* HttpApplication.start((request, response) => {
        if (request.url !== "/hang") return void response.end("hello")
        asked++
        response.once("close", () => left++)
      })
      const mesh = yield* SidecarMesh.make({ apps: [app], protocol: "http" })
      const client = yield* EchoService.client(mesh.port)
      const hanging = yield* Effect.forkChild(client({ path: "/hang" }))
      yield* Sockets.eventually(() => asked === 1)
      const permissions = (path: string) =>
        SidecarMesh.intention({ Permissions: [{ Action: "allow", HTTP: { PathExact: path } }] })
      yield* mesh.write(permissions("/ok"))
      const refused = yield* Fiber.join(hanging)
      assert.deepStrictEqual([refused.status, refused.body.toString()], [403, "RBAC: access denied"])
      yield* Sockets.eventually(() => left === 1)
      assert.strictEqual((yield* client({ path: "/ok" })).status, 200)
      assert.strictEqual((yield* client({ path: "/hang" })).status, 403)
    }))
})

describe("a request that the mesh refuses", () => {
  it.live("is said on the side of the caller, too, and one that the application refuses is not", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      const app = yield* HttpApplication.start((_, response) => {
        response.writeHead(403, { "content-type": "text/plain" }).end("not today, not here")
      })
      const mesh = yield* SidecarMesh.make({
        apps: [app],
        protocol: "http",
        entries: [SidecarMesh.intention({ Permissions: [{ Action: "allow", HTTP: { PathExact: "/app" } }] })]
      })
      const client = yield* EchoService.client(mesh.port)
      const said = () => lines.filter((line) => line.includes("has refused a request in the words of a sidecar"))
      assert.strictEqual((yield* client({ path: "/app" })).status, 403)
      assert.strictEqual((yield* client({ path: "/other" })).status, 403)
      yield* Sockets.eventually(() => said().length > 0)
      assert.match(said()[0]!, /"service":"web".*"destination":"api"|"destination":"api".*"service":"web"/)
      assert.include(said()[0], "Check the intentions web → api")
      assert.strictEqual(said().length, 1)
    }).pipe(
      Effect.provideService(RefusalLines.RefusalLines, RefusalLines.all),
      Effect.provide(Logger.layer([Logger.map(Logger.formatJson, (line) => void lines.push(line))]))
    )
  })
})
