import * as Fs from "node:fs/promises"
import * as Http from "node:http"
import * as Undici from "@effect/platform-node/Undici"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schedule } from "effect"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as Intention from "../../src/intention/Intention.ts"
import * as FileMesh from "../../src/mesh/FileMesh.ts"
import * as PlainMesh from "../../src/native/plain/PlainMesh.ts"
import * as FileIdentity from "../../src/watch/FileIdentity.ts"
import * as Certificates from "../support/certificates.ts"
import * as temporary from "../support/temporary.ts"

/** A folder as `effect-mesh certs --write` keeps it. */
const folderOf = Effect.fnUntraced(
  function*(name: string, ...authorities: readonly [Certificates.Authority, ...Array<Certificates.Authority>]) {
    const folder = yield* temporary.folder
    yield* renew(folder, name, ...authorities)
    return folder
  }
)

/** The first authority signs. */
const renew = (
  folder: string,
  name: string,
  ...authorities: readonly [Certificates.Authority, ...Array<Certificates.Authority>]
) =>
  Effect.promise(async () => {
    const issued = await Certificates.issue(authorities[0], { uris: [SpiffeId.format(Certificates.service(name))] })
    const files = FileIdentity.inFolder(folder)
    await Fs.writeFile(files.rootsFile, authorities.map(({ pem }) => pem).join(""))
    await Fs.writeFile(files.keyFile, issued.keyPem)
    await Fs.writeFile(files.certFile, issued.chainPem)
  })

const join = (folder: string, options: Omit<FileMesh.Options, keyof FileIdentity.Options> = {}) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      PlainMesh.make(FileMesh.layer({ ...FileIdentity.inFolder(folder), every: "10 millis", ...options }))
    ),
    (mesh) => Effect.promise(mesh.close)
  )

const ask = async ({ dispatcher }: PlainMesh.PlainMesh, path: string) => {
  const { body, statusCode } = await Undici.request(`http://api.service.consul${path}`, { dispatcher })
  return `${statusCode} ${await body.text()}`
}

/** `api` lets `web` read below `/books/`, and nobody else. */
const start = Effect.fnUntraced(function*() {
  const authority = yield* Effect.promise(() => Certificates.root("root"))
  const folders = {
    api: yield* folderOf("api", authority),
    web: yield* folderOf("web", authority),
    guest: yield* folderOf("guest", authority)
  }
  const api = yield* join(folders.api, {
    protocol: "http",
    intentions: [
      Intention.make("web", "api", [{ Action: "allow", HTTP: { PathPrefix: "/books/", Methods: ["GET"] } }]),
      Intention.make("guest", "other", "allow")
    ]
  })
  const server = Http.createServer((request, response) => response.end(`hello ${api.peerOf(request)?.service}`))
  const { port } = yield* Effect.promise(() => api.listen(server, { host: "127.0.0.1", port: 0, drain: 0 }))
  const services = { api: [{ host: "127.0.0.1", port }] }
  const call = (mesh: PlainMesh.PlainMesh, path: string) => Effect.promise(() => ask(mesh, path))
  return { call, folders, services, web: yield* join(folders.web, { services }) }
})

describe("FileMesh", () => {
  it.live("calls and is called without an agent, and judges requests by the intentions that it was given", () =>
    Effect.gen(function*() {
      const { call, folders, services, web } = yield* start()
      assert.strictEqual(yield* call(web, "/books/emma"), "200 hello web")
      assert.strictEqual(yield* call(web, "/keys"), "403 RBAC: access denied")
      const guest = yield* join(folders.guest, { services })
      assert.strictEqual(yield* call(guest, "/books/emma"), "403 RBAC: access denied")
    }))

  it.live("follows the files", () =>
    Effect.gen(function*() {
      const { call, folders, services } = yield* start()
      const next = yield* Effect.promise(() => Certificates.root("next"))
      const web = yield* join(yield* folderOf("web", next), { services })
      const answer = () => Effect.exit(Effect.tryPromise(() => ask(web, "/books/emma")))
      assert.isTrue(Exit.isFailure(yield* answer()))
      yield* renew(folders.api, "api", next)
      yield* Effect.repeat(answer(), { until: Exit.isSuccess, schedule: Schedule.spaced("10 millis") })
      assert.strictEqual(yield* call(web, "/books/emma"), "200 hello web")
    }))

  it.live("says whom it does not know", () =>
    Effect.gen(function*() {
      const { web } = yield* start()
      const error = yield* Effect.flip(Effect.tryPromise({ try: () => web.connect("db"), catch: String }))
      assert.include(error, "cannot reach db: no instance")
    }))

  it.live("fails when the files do not come, and says which", () =>
    Effect.gen(function*() {
      const folder = yield* temporary.folder
      const error = yield* Effect.flip(
        Layer.build(FileMesh.layer({ ...FileIdentity.inFolder(folder), readyWithin: "1 second" }))
      )
      assert.include(error.message, "did not arrive within 1s")
      assert.include(error.message, `${folder}/cert.pem`)
    }))
})
