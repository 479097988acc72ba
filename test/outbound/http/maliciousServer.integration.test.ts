/** Services of the mesh that mean harm to their callers, by their own bytes. */
import type * as Net from "node:net"
import * as Tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpClientRequest } from "effect/http"
import * as Certificates from "../../support/certificates.ts"
import { material } from "../../support/handshake.ts"
import * as HttpMesh from "../../support/httpMesh.ts"
import * as Servers from "../../support/httpServers.ts"
import * as Mesh from "../../support/mesh.ts"

const ok = (body: string) => ["HTTP/1.1 200 OK", `content-length: ${body.length}`, "", body].join("\r\n")

/** `api`, which answers requests for /first by these bytes, and others rightly. It is found where `db` is expected, too. */
const start = Effect.fnUntraced(function*(bytes: string) {
  const authority = yield* HttpMesh.authorityOf
  const issued = yield* Effect.promise(() => Certificates.issue(authority, { uris: [Servers.uriOf("api")] }))
  const secrets = material(issued, Certificates.bundle(authority)).server
  const connections = new Set<Tls.TLSSocket>()
  const asked: Array<string> = []
  const { port } = yield* Effect.acquireRelease(
    Effect.callback<Tls.Server>((resume) => {
      const server = Tls.createServer({ ...secrets, requestCert: true, rejectUnauthorized: false }, (socket) => {
        socket.on("error", () => {})
        connections.add(socket)
        socket.on("data", (chunk) => {
          asked.push(chunk.toString().split("\r\n")[0]!)
          socket.write(chunk.includes(" /first ") ? bytes : ok("next"))
        })
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        connections.forEach((socket) => socket.destroy())
      })
  ).pipe(Effect.map((server) => server.address() as Net.AddressInfo))
  const discovery = yield* Mesh.discovery({ api: [Mesh.endpoint(port)], db: [Mesh.endpoint(port)] })
  return { asked, ...(yield* HttpMesh.client(authority, discovery.layer)) }
})

describe("MeshHttpClient", () => {
  it.live.each(
    [
      ["two answers to one request", "GET", ok("first") + ok("forged"), "200 first"],
      [
        "a body behind an answer to HEAD",
        "HEAD",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n" + ok("forged"),
        "200 "
      ],
      ["a body where there is none", "GET", "HTTP/1.1 204 No Content\r\n\r\n" + ok("forged"), "204 "],
      [
        "an upgrade that nobody asked for",
        "GET",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n" + ok("forged"),
        "ConnectionLost"
      ],
      [
        "a length and chunks",
        "GET",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + ok("forged"),
        "ConnectionLost"
      ],
      ["headers without an end", "GET", "HTTP/1.1 200 OK\r\n" + "x: y\r\n".repeat(100_000), "ConnectionLost"],
      ["a header within a header", "GET", "HTTP/1.1 200 OK\r\nx: y\rset-cookie: a=b\r\n\r\n", "ConnectionLost"],
      ["informational answers", "GET", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10_000) + ok("first"), "200 first"]
    ] as const
  )("is not misled by %s", ([, method, bytes, expected]) =>
    Effect.gen(function*() {
      const { asked, get, http } = yield* start(bytes)
      const answer = yield* http.execute(HttpClientRequest.make(method)("http://api/first")).pipe(
        Effect.flatMap((response) => Effect.map(response.text, (text) => `${response.status} ${text}`)),
        Effect.catch((error) => Effect.map(HttpMesh.failureOf(Effect.fail(error)), ({ reason }) => reason._tag))
      )
      assert.strictEqual(answer, expected)
      assert.strictEqual(yield* get("http://api/second"), "next")
      // Once, and twice more where that is no answer.
      assert.strictEqual(asked.filter((line) => line.includes("/first")).length, expected === "ConnectionLost" ? 3 : 1)
    }))

  it.live("sends nothing of what is for one service on connections to another one", () =>
    Effect.gen(function*() {
      const { asked, get } = yield* start(ok("first"))
      assert.strictEqual(yield* get("http://api/first"), "first")
      const { reason, sent } = yield* HttpMesh.failureOf(get("http://db/secret"))
      assert.deepStrictEqual([reason._tag, sent], ["UnexpectedIdentity", false])
      assert.deepStrictEqual(asked, ["GET /first HTTP/1.1"])
    }))
})
