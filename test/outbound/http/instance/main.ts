/** An instance of `api` in a process of its own, for tests that kill it. Told who it is, it tells where it listens. */
import { Effect, Stream } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Certificates from "../../../support/certificates.ts"
import { instance } from "../../../support/httpMesh.ts"
import * as Mesh from "../../../support/mesh.ts"

export interface Told {
  readonly issued: Certificates.Issued
  readonly root: Pick<Certificates.Authority, "name" | "pem">
  /** What it does with requests: answers with what it was sent, or begins to, or does not. */
  readonly manner: "answers" | "begins to answer" | "is silent"
}

export type Tells = { readonly port: number } | { readonly asked: string }

const tell = (message: Tells) => process.send?.(message)

const handle = (manner: Told["manner"]) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    tell({ asked: request.method })
    if (manner === "is silent") return yield* Effect.never
    if (manner === "begins to answer") {
      return HttpServerResponse.stream(Stream.concat(Stream.make(new Uint8Array(1000)), Stream.never))
    }
    const { byteLength } = yield* Effect.orDie(request.arrayBuffer)
    return HttpServerResponse.text(`${request.method} ${byteLength}`)
  })

process.once("message", ({ issued, manner, root }: Told) => {
  const program = Effect.gen(function*() {
    const member = yield* Mesh.memberWith("api", Certificates.bundle(root), Certificates.toLeaf(issued))
    const { port } = yield* instance(member, "api", handle(manner))
    tell({ port })
    return yield* Effect.never
  })
  Effect.runFork(Effect.scoped(program))
})
process.once("disconnect", () => process.exit(0))
