import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Http from "node:http"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { faults } from "../support/agents.ts"
import * as Admin from "../support/admin.ts"
import * as SidecarMesh from "../support/sidecarMesh.ts"
import * as Sockets from "../support/sockets.ts"
import { folder } from "../support/temporary.ts"

const token = "0123456789abcdef0123456789abcdef"
const authorization = `Bearer ${token}`

/** With a token, in a file that can be replaced. */
const withToken = Effect.fnUntraced(function*(fleet: Parameters<typeof Admin.open>[0]["fleet"] = Admin.fleetOf({})) {
  const tokenFile = join(yield* folder, "token")
  writeFileSync(tokenFile, `${token}\n`)
  const admin = yield* Admin.open({ fleet, tokenFile })
  return { ...admin, tokenFile }
})

const paths = ["/drain", "/logging?level=debug", "/reauthorize", "/rotate", "/cpuprofile", "/heapsnapshot"]

describe("what the admin interface can be told to do", () => {
  it.live.each(paths)("needs the token: POST %s", (path) =>
    Effect.gen(function*() {
      const admin = yield* withToken()
      assert.strictEqual((yield* admin.ask("POST", path)).status, 401)
      assert.strictEqual((yield* admin.ask("POST", path, { authorization: "Bearer something-else" })).status, 403)
      const page = { authorization, origin: "https://evil.example" }
      assert.strictEqual((yield* admin.ask("POST", path, page)).status, 403)
      const open = yield* Admin.open({ fleet: Admin.fleetOf({}) })
      const nobody = yield* open.ask("POST", path, { authorization })
      assert.strictEqual(nobody.status, 403)
      assert.include(nobody.text, "--admin-token-file")
    }))

  it.live("needs no token over a Unix socket", () =>
    Effect.gen(function*() {
      const bind = { path: join(yield* folder, "admin.sock"), mode: 0o600 }
      const admin = yield* Admin.open({ fleet: Admin.fleetOf({}), bind })
      assert.strictEqual((yield* admin.ask("POST", "/reauthorize")).status, 200)
    }))

  it.live("takes a token that has been replaced, and nobody's while there is none", () =>
    Effect.gen(function*() {
      const admin = yield* withToken()
      const next = "another-token-that-is-long-enough"
      writeFileSync(admin.tokenFile, next)
      assert.strictEqual((yield* admin.ask("POST", "/reauthorize", { authorization })).status, 403)
      assert.strictEqual((yield* admin.ask("POST", "/reauthorize", { authorization: `Bearer ${next}` })).status, 200)
      writeFileSync(admin.tokenFile, "")
      const nobody = yield* admin.ask("POST", "/reauthorize", { authorization: "Bearer " })
      assert.strictEqual(nobody.status, 403)
      assert.include(nobody.text, "holds no token of at least 16 characters")
    }))

  it.live("does not start with a token file that cannot be used", () =>
    Effect.gen(function*() {
      const tokenFile = join(yield* folder, "token")
      const open = Effect.flip(Admin.open({ fleet: Admin.fleetOf({}), tokenFile }))
      assert.strictEqual((yield* open).message, `--admin-token-file names ${tokenFile}, which cannot be read: ENOENT`)
      writeFileSync(tokenFile, "short")
      assert.include((yield* open).message, "openssl rand -hex 32")
    }))

  it.live("changes the level of the log", () =>
    Effect.gen(function*() {
      const admin = yield* withToken()
      assert.deepStrictEqual(yield* admin.client.read.logging({}), { level: "info" })
      const changed = yield* admin.ask("POST", "/logging?level=debug", { authorization })
      assert.deepStrictEqual(JSON.parse(changed.text), { level: "debug" })
      assert.deepStrictEqual(yield* admin.client.read.logging({}), { level: "debug" })
      const wrong = yield* admin.ask("POST", "/logging?level=loud", { authorization })
      assert.strictEqual(wrong.status, 400)
      assert.include(wrong.text, "debug")
    }))

  it.live("drains: it is not ready any more, and what is open goes on", () =>
    Effect.gen(function*() {
      const application = yield* Sockets.shouting
      const mesh = yield* SidecarMesh.make({ apps: [application.port], protocol: "tcp", drain: "1 minute" })
      const admin = yield* withToken(Admin.fleetOf({ web: mesh.web, api: mesh.api[0]! }))
      const socket = yield* Sockets.connect(mesh.port)
      const answer = Sockets.record(socket)
      socket.write("hello")
      yield* answer.until("HELLO")
      const unknown = yield* admin.ask("POST", "/drain?sidecar=db", { authorization })
      assert.deepStrictEqual([unknown.status, JSON.parse(unknown.text)], [404, {
        error: "no sidecar db runs here; there are: web, api"
      }])
      assert.strictEqual((yield* admin.ask("GET", "/ready")).status, 200)
      const drained = yield* admin.ask("POST", "/drain?sidecar=api", { authorization })
      assert.strictEqual(drained.status, 202)
      assert.deepStrictEqual(JSON.parse(drained.text), {
        sidecars: [{ name: "api", proxy: "api-1-sidecar-proxy", service: "api", phase: "leaving" }]
      })
      const ready = yield* admin.ask("GET", "/ready")
      assert.strictEqual(ready.status, 503)
      assert.include(ready.text, `"name":"web","ready":true`)
      assert.include(ready.text, "it leaves")
      socket.write(" again")
      yield* answer.until("HELLO AGAIN")
      socket.end()
      yield* mesh.api[0]!.left
    }))

  it.live("judges what is open again", () =>
    Effect.gen(function*() {
      const application = yield* Sockets.shouting
      const mesh = yield* SidecarMesh.make({ apps: [application.port], protocol: "tcp" })
      const admin = yield* withToken(Admin.fleetOf({ web: mesh.web, api: mesh.api[0]! }))
      const socket = yield* Sockets.connect(mesh.port)
      socket.write("hello")
      yield* Sockets.record(socket).until("HELLO")
      const { text } = yield* admin.ask("POST", "/reauthorize", { authorization })
      assert.deepStrictEqual(JSON.parse(text), {
        sidecars: [
          { name: "web", proxy: "web-sidecar-proxy", service: "web", judged: 0, cut: 0 },
          { name: "api", proxy: "api-1-sidecar-proxy", service: "api", judged: 1, cut: 0 }
        ]
      })
    }))

  it.live("asks for a leaf, and says why there is no new one", () =>
    Effect.gen(function*() {
      const mesh = yield* SidecarMesh.make({ apps: [1], protocol: "tcp" })
      const admin = yield* withToken(Admin.fleetOf({ web: mesh.web }))
      const unchanged = yield* admin.ask("POST", "/rotate", { authorization })
      assert.strictEqual(unchanged.status, 200)
      const { serial } = mesh.web.material().leaf.certificate
      assert.include(unchanged.text, `"before":"${serial}","after":"${serial}","renewed":false`)
      assert.include(unchanged.text, "the agent has no other one")
      mesh.front.become(faults.denies)
      const failed = yield* admin.ask("POST", "/rotate", { authorization })
      assert.strictEqual(failed.status, 502)
      assert.include(failed.text, "Permission denied")
    }))

  it.live("takes a profile of what the process does, one at a time", () =>
    Effect.gen(function*() {
      const admin = yield* withToken()
      const ask = admin.ask("POST", "/cpuprofile?seconds=1", { authorization })
      const [taken, refused] = (yield* Effect.all([ask, ask], { concurrency: 2 })).sort((a, b) => a.status - b.status)
      assert.deepStrictEqual([taken!.status, refused!.status], [200, 409])
      assert.match(taken!.headers["content-disposition"]!, /\.cpuprofile"$/)
      assert.isAbove((JSON.parse(taken!.text) as { readonly nodes: ReadonlyArray<unknown> }).nodes.length, 0)
      assert.strictEqual((yield* admin.ask("POST", "/cpuprofile?seconds=9999", { authorization })).status, 400)
    }))

  it.live("takes a snapshot of the heap", () =>
    Effect.gen(function*() {
      const { port } = yield* withToken()
      const start = yield* Effect.callback<string>((resume) => {
        const asked = Http.request(
          { port, method: "POST", path: "/heapsnapshot", headers: { authorization } },
          (response) => response.once("data", (chunk: Buffer) => resume(Effect.succeed(chunk.toString())))
        )
        asked.on("error", () => {})
        asked.end()
        return Effect.sync(() => asked.destroy())
      })
      assert.match(start, /^\{"snapshot":\{"meta":/)
    }), 30_000)
})
