/** Who may do what, and what the application hears of the caller, between a sidecar of this project and an Envoy. */
import { X509Certificate } from "node:crypto"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer } from "effect"
import * as agent from "../support/consul.ts"
import * as Echo from "../support/echoService.ts"
import * as EnvoyMesh from "../support/envoyMesh.ts"

const setUp = (kinds: (typeof EnvoyMesh.directions)[number]) =>
  Effect.gen(function*() {
    const api = yield* Echo.start("api", "1.1")
    const two = yield* Echo.start("two", "2")
    const mesh = yield* EnvoyMesh.make({
      ...kinds,
      services: {
        api: { protocol: "http", instances: [api] },
        two: { protocol: "http2", instances: [two] }
      }
    })
    const ask = yield* Echo.client(mesh.portTo("api"))
    const session = yield* Echo.session(mesh.portTo("two"))
    const clients = { api: ask, two: (what?: Echo.Ask) => Echo.ask2(session, what) }
    return { mesh, apps: { api, two }, clients }
  })

class Cast extends Context.Service<Cast, Effect.Success<ReturnType<typeof setUp>>>()("test/envoy/policy/Cast") {}

const services = ["api", "two"] as const

const until = (status: number, asking: ReturnType<Echo.Client>) =>
  agent.eventually(Effect.filterOrFail(asking, (answer) => answer.status === status, (answer) => answer.status), 20)

/** `Name=value` pairs of the only element of the header, in order. */
const certificateFields = (header: unknown): ReadonlyArray<readonly [name: string, value: string]> =>
  [...String(header).matchAll(/(\w+)=(?:"([^"]*)"|([^;]*))/g)].map(([, name, quoted, bare]) =>
    [name ?? "", quoted ?? bare ?? ""] as const
  )

describe.each(EnvoyMesh.directions)("a caller with $caller, an instance with $callee", (kinds) => {
  layer(Layer.effect(Cast, setUp(kinds)), { timeout: 90_000, excludeTestServices: true })((it) => {
    it.effect.each(services)(
      "%s: the application hears who calls, and no lies about it",
      (service) =>
        Effect.gen(function*() {
          const { apps, clients } = yield* Cast
          const forged = "By=spiffe://x/svc/api;Hash=00;URI=spiffe://x/ns/default/dc/dc1/svc/admin"
          yield* until(
            200,
            clients[service]({ headers: { "x-forwarded-client-cert": forged, "x-request-id": "mine" } })
          )
          const { headers } = apps[service].seen.at(-1)!
          const fields = certificateFields(headers["x-forwarded-client-cert"])
          assert.deepStrictEqual(fields.map(([name]) => name), ["By", "Hash", "Cert", "Chain", "Subject", "URI"])
          const of = Object.fromEntries(fields)
          assert.match(of["By"]!, new RegExp(`^spiffe://[0-9a-f-]+\\.consul/ns/default/dc/dc1/svc/${service}$`))
          assert.strictEqual(of["URI"], of["By"]!.replace(/\w+$/, "web"))
          const certificate = new X509Certificate(decodeURIComponent(of["Cert"]!))
          assert.strictEqual(of["Hash"], certificate.fingerprint256.replaceAll(":", "").toLowerCase())
          assert.include(certificate.subjectAltName, of["URI"]!)
        })
    )

    it.effect.each(services)("%s: a request has one id from end to end", (service) =>
      Effect.gen(function*() {
        const { apps, clients } = yield* Cast
        yield* until(200, clients[service]({ headers: { "x-request-id": "5f3f1f7e-8d5a-4c9a-9b3a-0a1b2c3d4e5f" } }))
        assert.strictEqual(apps[service].seen.at(-1)!.headers["x-request-id"], "5f3f1f7e-8d5a-4c9a-9b3a-0a1b2c3d4e5f")
        yield* until(200, clients[service]())
        assert.match(
          String(apps[service].seen.at(-1)!.headers["x-request-id"]),
          /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
        )
      }))

    it.effect.each(services)(
      "%s: permissions allow and deny requests, and follow a change under traffic",
      (service) =>
        Effect.gen(function*() {
          const { apps, clients, mesh } = yield* Cast
          const ask = clients[service]
          const permit = (get: "allow" | "deny") =>
            mesh.write(EnvoyMesh.intention(service, {
              Permissions: [
                { Action: get, HTTP: { PathPrefix: "/", Methods: ["GET"] } },
                { Action: "deny", HTTP: { PathPrefix: "/", Methods: ["POST"] } }
              ]
            }))
          yield* permit("allow")
          const denied = yield* until(403, ask({ method: "POST", body: ["x"] }))
          assert.strictEqual(denied.body.toString(), "RBAC: access denied")
          assert.strictEqual(denied.headers["content-type"], "text/plain")
          assert.strictEqual((yield* ask()).status, 200)

          const changed = yield* Deferred.make<void>()
          const traffic = yield* Effect.forkChild(Effect.gen(function*() {
            const outcomes: Array<number | "cut"> = []
            for (; outcomes.at(-1) !== 403;) {
              outcomes.push(
                yield* Effect.match(ask(), { onSuccess: ({ status }) => status, onFailure: () => "cut" as const })
              )
              if (outcomes.length === 3) yield* Deferred.succeed(changed, undefined)
            }
            return outcomes
          }))
          yield* Deferred.await(changed)
          yield* permit("deny")
          const outcomes = yield* Fiber.join(traffic)
          // Ours ends the request that is under way: by a refusal, or with its connection once an answer has begun.
          const whole = outcomes.filter((outcome) => outcome !== "cut" && outcome !== 503)
          assert.isAtMost(outcomes.length - whole.length, kinds.callee === "ours" ? 1 : 0)
          assert.deepStrictEqual([...new Set(whole)], [200, 403])
          const before = apps[service].seen.length
          assert.strictEqual((yield* ask()).status, 403)
          assert.strictEqual(apps[service].seen.length, before)

          yield* mesh.write(EnvoyMesh.intention(service, { Action: "allow" }))
          yield* until(200, ask())
        })
    )
  })
})
