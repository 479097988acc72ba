/** `effect-mesh gateway --api` as operators run it, called by curl as those outside do. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type * as Http from "node:http"
import * as Certificates from "../../support/certificates.ts"
import * as agent from "../../support/consul.ts"
import * as Gateways from "../../support/gateways.ts"
import * as HttpApplication from "../../support/httpApplication.ts"
import * as SidecarProcess from "../../support/sidecarProcess.ts"
import * as TlsClients from "../../support/tlsClients.ts"

const { eventually } = Gateways

/** Tells what it was asked; `/slow` is answered in two parts, the second of which is for the test to send. */
const application = (name: string) => {
  const slow: Array<Http.ServerResponse> = []
  return Effect.map(
    HttpApplication.start((request, response) => {
      if (request.url?.endsWith("/slow") !== true) {
        return void response.end(
          `${name} ${request.method} ${request.url} ${request.headers["x-forwarded-proto"] ?? ""}`
        )
      }
      response.write("begun\n")
      slow.push(response)
    }),
    (port) => ({ port, slow })
  )
}

/** Services `red` over HTTP and `db` over TCP, which also speaks HTTP, and a gateway that leads to both. */
const start = Effect.gen(function*() {
  const { dc1 } = yield* Gateways.one
  const red = yield* application("red")
  const db = yield* application("db")
  yield* dc1.write({ Kind: "service-defaults", Name: "red", Protocol: "http" })
  yield* dc1.service("red", { port: red.port })
  yield* dc1.service("db", { port: db.port })

  const authority = yield* Effect.promise(() => Certificates.root("public"))
  const shown = yield* Effect.promise(() => Certificates.issue(authority, { uris: [], dns: ["shop.example"] }))
  const { root } = yield* TlsClients.files(shown, authority)
  const [http, https, tcp] = [yield* agent.freePort, yield* agent.freePort, yield* agent.freePort]
  yield* dc1.write({
    Kind: "inline-certificate",
    Name: "shop",
    Certificate: shown.certPem,
    PrivateKey: shown.keyPem
  })
  yield* dc1.write({
    Kind: "api-gateway",
    Name: "api-gateway",
    Listeners: [
      { Name: "http", Port: http, Protocol: "http" },
      {
        Name: "https",
        Port: https,
        Protocol: "http",
        TLS: { Certificates: [{ Kind: "inline-certificate", Name: "shop" }] }
      },
      { Name: "tcp", Port: tcp, Protocol: "tcp" }
    ]
  })
  const parent = { Kind: "api-gateway", Name: "api-gateway" }
  yield* dc1.write({
    Kind: "http-route",
    Name: "red",
    Parents: [{ ...parent, SectionName: "http" }, { ...parent, SectionName: "https" }],
    Rules: [{
      Matches: [{ Path: { Match: "prefix", Value: "/red" } }],
      Services: [{ Name: "red" }]
    }]
  })
  yield* dc1.write({
    Kind: "tcp-route",
    Name: "db",
    Parents: [{ ...parent, SectionName: "tcp" }],
    Services: [{ Name: "db" }]
  })
  yield* dc1.put({ Kind: "api-gateway", Name: "api-gateway", Address: "127.0.0.1", Port: 8443 })
  const admin = yield* agent.freePort
  const gateway = yield* SidecarProcess.start({
    command: "gateway",
    args: ["--api", "--shutdown-delay", "0", "--admin-bind", `127.0.0.1:${admin}`],
    env: { CONSUL_HTTP_ADDR: dc1.address }
  })

  /** Without the settings of the user. What comes is printed as it comes, and the status after it. */
  const curl = (...args: ReadonlyArray<string>) =>
    TlsClients.run("curl", [
      "-qsSN",
      "--noproxy",
      "*",
      "--max-time",
      "30",
      "-w",
      " %{http_code} %{http_version}",
      ...args
    ])
  return {
    dc1,
    red,
    db,
    gateway,
    ports: { http, https, tcp },
    curl,
    /** By the name that the certificate has. */
    secure: (path: string, ...args: ReadonlyArray<string>) =>
      curl(
        "--cacert",
        root,
        "--resolve",
        `shop.example:${https}:127.0.0.1`,
        ...args,
        `https://shop.example:${https}${path}`
      ),
    plain: (path: string, ...args: ReadonlyArray<string>) => curl(...args, `http://127.0.0.1:${http}${path}`),
    admin: (path: string) =>
      Effect.promise(async () => {
        const response = await fetch(`http://127.0.0.1:${admin}${path}`)
        return { status: response.status, text: await response.text() }
      })
  }
})

/** curl's exit codes: https://curl.se/libcurl/c/libcurl-errors.html */
const cannotConnect = 7
const certificateProblem = 60

describe.skipIf(!TlsClients.has("curl"))("effect-mesh gateway --api", () => {
  it.live("lets curl in over HTTP, over HTTPS and over TCP, by its routes, and tells how it is", () =>
    Effect.gen(function*() {
      const { admin, curl, dc1, gateway, plain, ports, secure } = yield* start
      yield* eventually(
        Effect.map(plain("/red/1"), ({ output }) => assert.strictEqual(output, "red GET /red/1 http 200 1.1"))
      )
      assert.strictEqual((yield* plain("/red", "-X", "DELETE")).output, "red DELETE /red http 200 1.1")
      assert.match((yield* plain("/blue")).output, / 404 1\.1$/)

      assert.strictEqual((yield* secure("/red/2", "--http1.1")).output, "red GET /red/2 https 200 1.1")
      assert.strictEqual((yield* secure("/red/3", "--http2")).output, "red GET /red/3 https 200 2")
      // Whoever trusts nobody but the usual authorities does not get that far.
      assert.strictEqual(
        (yield* curl("--resolve", `shop.example:${ports.https}:127.0.0.1`, `https://shop.example:${ports.https}/red`))
          .code,
        certificateProblem
      )

      yield* eventually(
        Effect.map(
          curl(`http://127.0.0.1:${ports.tcp}/db`),
          ({ output }) => assert.strictEqual(output, "db GET /db  200 1.1")
        )
      )

      assert.strictEqual((yield* admin("/ready")).status, 200)
      const { sidecar } = JSON.parse((yield* admin("/snapshot")).text)
      assert.match(sidecar.identity, /\/svc\/api-gateway$/)
      assert.deepStrictEqual(
        sidecar.upstreams.map((each: { listener: string; state: string }) => [each.listener, each.state]),
        [[`http ${ports.http}`, "Listening"], [`http ${ports.https}`, "Listening"], [`tcp ${ports.tcp}`, "Listening"]]
      )
      const { text } = yield* admin("/metrics")
      assert.match(
        text,
        new RegExp(`mesh_http_requests_total\\{[^}]*destination="api-gateway:${ports.https}",code="200"[^}]*\\} 2`)
      )
      assert.match(text, /mesh_refusals_total\{[^}]*reason="refused_by_peer"[^}]*\} 1/)

      yield* dc1.write({ Kind: "service-intentions", Name: "red", Sources: [{ Name: "api-gateway", Action: "deny" }] })
      yield* eventually(Effect.map(plain("/red"), ({ output }) => assert.match(output, / 403 1\.1$/)))
      assert.strictEqual(yield* gateway.stop, 0)
    }))

  it.live("ends what is under way when it is told to stop, and takes nothing more", () =>
    Effect.gen(function*() {
      const { curl, db, gateway, plain, ports, red, secure } = yield* start
      for (const call of [plain("/red"), curl(`http://127.0.0.1:${ports.tcp}/`)]) {
        yield* eventually(Effect.map(call, ({ output }) => assert.match(output, / 200 1\.1$/)))
      }
      const running = yield* Effect.forEach(
        [
          plain("/red/slow"),
          secure("/red/slow", "--http1.1"),
          secure("/red/slow", "--http2"),
          curl(`http://127.0.0.1:${ports.tcp}/slow`)
        ],
        (call) => Effect.forkChild(call, { startImmediately: true })
      )
      yield* eventually(Effect.sync(() => assert.deepStrictEqual([red.slow.length, db.slow.length], [3, 1])))
      const stopping = yield* Effect.forkChild(gateway.stop, { startImmediately: true })
      yield* eventually(Effect.map(plain("/red"), ({ code }) => assert.strictEqual(code, cannotConnect)))
      assert.isUndefined(stopping.pollUnsafe())
      for (const response of [...red.slow, ...db.slow]) response.end("and done\n")
      assert.deepStrictEqual(yield* Effect.forEach(running, Fiber.join), [
        { code: 0, output: "begun\nand done\n 200 1.1" },
        { code: 0, output: "begun\nand done\n 200 1.1" },
        { code: 0, output: "begun\nand done\n 200 2" },
        { code: 0, output: "begun\nand done\n 200 1.1" }
      ])
      assert.strictEqual(yield* Fiber.join(stopping), 0)
      assert.notMatch(gateway.output(), /did not end within/)
    }))
})
