import { assert, describe, it } from "@effect/vitest"
import { Effect, SubscriptionRef } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Intention from "../../../src/intention/Intention.ts"
import * as MeshListener from "../../../src/inbound/MeshListener.ts"
import * as SecureContexts from "../../../src/tls/SecureContexts.ts"
import * as Connections from "../../bench/deny/connections.ts"
import * as Kind from "../../bench/deny/Kind.ts"
import * as Http from "../../support/http.ts"
import { authorityOf, instance } from "../../support/httpMesh.ts"
import * as Mesh from "../../support/mesh.ts"
import { eventually } from "../../support/sockets.ts"

const materialOf = (member: Mesh.Member) =>
  Effect.map(SecureContexts.SecureContexts, (contexts) => contexts.current()).pipe(Effect.provide(member.layer))

/** 250 in all. */
const each = 50

describe("a caller that is not allowed any more", () => {
  it.live("sees the end of all its connections, whatever they are doing, and nobody else does", () =>
    Effect.gen(function*() {
      const authority = yield* authorityOf
      const [http, raw, web, ops] = yield* Effect.forEach(
        ["api", "raw", "web", "ops"],
        (name) => Mesh.member(name, authority)
      )
      const allow = (destination: string, action: "allow" | "deny") =>
        destination === "raw"
          ? Mesh.policy("raw", { web: action, ops: "allow" })
          : Mesh.requestPolicy("api", Intention.make("web", "api", action), Intention.make("ops", "api", "allow"))
      yield* SubscriptionRef.set(http!.intentions, allow("api", "allow"))
      yield* SubscriptionRef.set(raw!.intentions, allow("raw", "allow"))

      const server = yield* instance(
        http!,
        "api",
        Effect.flatMap(
          HttpServerRequest.HttpServerRequest,
          ({ url }) => url === "/hang" ? Effect.never : Effect.succeed(HttpServerResponse.text("hello"))
        )
      )
      const listener = yield* MeshListener.make({
        host: "127.0.0.1",
        port: 0,
        handle: ({ socket }) =>
          Effect.callback<void>((resume) => void socket.resume().once("close", () => resume(Effect.void)))
      }).pipe(Effect.provide(raw!.layer))

      const { client } = yield* materialOf(web!)
      const kinds = Kind.kinds.filter((kind) => kind !== "bare TLS")
      const ends = new Map(kinds.map((kind) => [kind, 0]))
      for (const kind of kinds) {
        const { port } = kind === "raw" ? listener : server
        const ended = () => ends.set(kind, ends.get(kind)! + 1)
        yield* Effect.promise(() => Connections.open({ kind, port, count: each }, client, ended))
      }
      const other = yield* Http.http1(server.port, yield* materialOf(ops!))
      yield* other()
      yield* eventually(() =>
        listener.stats().open === each && server.stats().handling === 2 * each &&
        server.stats().connections.open > 4 * each
      )
      assert.strictEqual(server.stats().connections.open, 4 * each + 1)

      yield* SubscriptionRef.set(http!.intentions, allow("api", "deny"))
      yield* SubscriptionRef.set(raw!.intentions, allow("raw", "deny"))
      yield* eventually(() => [...ends.values()].every((count) => count === each))
      yield* eventually(() =>
        listener.stats().open === 0 && server.stats().connections.open === 1 && server.stats().handling === 0
      )
      assert.strictEqual((yield* other()).body, "hello")
      assert.strictEqual(server.stats().connections.accepted, 4 * each + 1)
    }))
})
