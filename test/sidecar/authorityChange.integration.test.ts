/** A pair of sidecars under requests while what signs for their mesh is exchanged, again and again. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { writeFileSync } from "node:fs"
import * as Http from "node:http"
import { join } from "node:path"
import * as Tls from "node:tls"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import type * as ConsulCa from "../../src/consul/CertificateAuthority.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import type * as SecureContexts from "../../src/tls/SecureContexts.ts"
import * as LeafCertificate from "../../src/watch/LeafCertificate.ts"
import * as Certificates from "../support/certificates.ts"
import * as agent from "../support/consul.ts"
import { folder } from "../support/temporary.ts"
import * as Traffic from "../support/traffic.ts"
import * as Vault from "../support/vault.ts"

/** Answers with the path and the length of the body. */
const application = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<Http.Server>((resume) => {
      const server = Http.createServer((request, response) => {
        let length = 0
        request.on("data", (chunk: Buffer) => length += chunk.length)
        request.on("end", () => response.end(`${request.url} ${length}`))
      })
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

/** What a peer hears that knows only what was there before a change. */
const lateAsk = (port: number, { client }: SecureContexts.Material): Effect.Effect<string, string> =>
  Effect.callback((resume) => {
    const socket = Tls.connect({
      host: "127.0.0.1",
      port,
      secureContext: client,
      allowPartialTrustChain: true,
      checkServerIdentity: () => undefined
    })
    let heard = ""
    socket.on("data", (data: Buffer) => heard += data.toString())
    socket.on("error", ({ message }) => resume(Effect.fail(message)))
    socket.on("close", () => resume(Effect.succeed(heard)))
    socket.write("GET /late HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n")
    return Effect.sync(() => socket.destroy())
  })

/** An authority of a company in files, whose trust domain is that of no one mesh. */
const company = Effect.gen(function*() {
  const path = yield* folder
  const files = yield* Effect.promise(async () => {
    const root = await Certificates.root("Company")
    const mesh = await Certificates.intermediate(root, "Mesh")
    return { CertFile: mesh.pem, KeyFile: await Certificates.keyToPem(mesh.keys.privateKey), ChainFile: root.pem }
  })
  const config: Record<string, string> = {}
  for (const [name, content] of Object.entries(files)) {
    config[name] = join(path, name)
    writeFileSync(config[name], content)
  }
  return config
})

describe("a change of what signs", () => {
  it.live.each(["http", "tcp"] as const)(
    "fails no call, from the built-in authority to files, to Vault and back (%s)",
    (protocol) =>
      Effect.gen(function*() {
        const running = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" })
        const vault = yield* Vault.make
        const consul = yield* Layer.build(ConsulClient.layer({ address: running.address }))
        yield* Effect.gen(function*() {
          const { call } = yield* ConsulClient.ConsulClient
          const ports = yield* Effect.all({
            app: agent.freePort,
            api: agent.freePort,
            web: agent.freePort,
            up: agent.freePort
          })
          yield* application(ports.app)
          yield* agent.put({ name: "api", port: ports.app, sidecar: { port: ports.api } })
          const upstreams = [{ DestinationName: "api", LocalBindPort: ports.up }]
          yield* agent.put({ name: "web", port: 1, sidecar: { port: ports.web, upstreams } })
          yield* agent.entry({ Kind: "service-defaults", Name: "api", Protocol: protocol })
          yield* agent.entry({ Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Action: "allow" }] })
          // Without tunnels, so that every other call has a handshake.
          const [api, web] = yield* Effect.forEach(["api", "web"], (name) =>
            ConsulSidecar.make({ proxyId: `${name}-sidecar-proxy`, drain: "100 millis", tunnels: false }))
          yield* agent.eventually(Effect.tryPromise(async () => {
            const response = await fetch(`http://127.0.0.1:${ports.up}/ready`)
            if (response.status !== 200) {
              throw new Error(String(response.status))
            }
          }))
          const traffic = Traffic.http(ports.up, 100)

          const change = (payload: ConsulCa.ConfigurationUpdate) =>
            Effect.gen(function*() {
              const before = web!.material()
              yield* call("change", (client) =>
                client.connect.setCaConfiguration({ query: {}, payload }))
              const { body } = yield* call("roots", (client) => client.agent.caRoots({ query: {} }))
              const signing = body.Roots.find(({ Active }) => Active)?.SigningKeyID.replaceAll(":", "")
              const issued = (each: typeof api) => each!.material().leaf.certificate.authorityKeyId
              yield* agent.eventually(
                Effect.suspend(() =>
                  [api, web].every((each) => issued(each) === signing) ? Effect.void : Effect.fail("not issued again")
                )
              )
              assert.include(yield* lateAsk(ports.api, before), "HTTP/1.1 200 OK")
              const sent = traffic.report().sent
              yield* agent.eventually(
                Effect.suspend(() =>
                  traffic.report().sent > sent + 50 ? Effect.void : Effect.fail("too little traffic")
                )
              )
            })
          yield* change({ Provider: "files", Config: yield* company })
          yield* change({
            Provider: "vault",
            Config: {
              Address: vault.address,
              Token: vault.token,
              RootPKIPath: "connect-root",
              IntermediatePKIPath: "connect-intermediate"
            }
          })
          yield* change({ Provider: "consul", Config: { PrivateKeyType: "rsa", PrivateKeyBits: 2048 } })
          const { failures, sent } = yield* Effect.promise(() => traffic.stop())
          assert.deepStrictEqual(failures, [], `${failures.length} of ${sent} failed`)
          assert.strictEqual(api!.material().roots.roots.length, 4)
        }).pipe(
          Effect.provideContext(consul),
          Effect.provideService(LeafCertificate.RotationSpread, "500 millis")
        )
      }),
    60_000
  )
})
