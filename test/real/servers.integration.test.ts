/**
 * The packaged proxy where there is no agent: a real Consul, which CONSUL_BIN names, asked by gRPC over TLS, with certificates on both sides.
 * One sidecar has a token, the other one logs in by an auth method.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import * as Jose from "jose"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Certificates from "../support/certificates.ts"
import { freePort } from "../support/ports.ts"
import * as HttpApplication from "../support/httpApplication.ts"
import { mesh, run } from "../support/meshCommand.ts"
import * as RealConsul from "../support/realConsul.ts"
import * as temporary from "../support/temporary.ts"

/** Answers with the path that was asked for. */
const application = HttpApplication.start((request, response) => void response.end(request.url))

/** Certificates in files: of the server, and of its clients. */
const files = Effect.gen(function*() {
  const folder = yield* temporary.folder
  const write = (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  }
  return yield* Effect.promise(async () => {
    const [authority, stranger] = [await Certificates.root("servers"), await Certificates.root("strangers")]
    const server = await Certificates.issue(authority, { dns: ["server.dc1.consul", "localhost"], uris: [] })
    const client = await Certificates.issue(authority, { dns: ["client.dc1.consul"], uris: [] })
    return {
      write,
      ca: write("ca.pem", authority.pem),
      stranger: write("stranger.pem", stranger.pem),
      server: { cert: write("server.pem", server.certPem), key: write("server-key.pem", server.keyPem) },
      client: { cert: write("client.pem", client.certPem), key: write("client-key.pem", client.keyPem) }
    }
  })
})

/** Logs `web` in with a token of its own that is signed by `keys`. */
const authMethod = Effect.fnUntraced(function*(consul: RealConsul.RealConsul) {
  const { privateKey, publicKey } = yield* Effect.promise(() => Jose.generateKeyPair("ES256"))
  const [pem, bearer] = yield* Effect.promise(async () =>
    [
      await Jose.exportSPKI(publicKey),
      await new Jose.SignJWT({ service: "web" }).setProtectedHeader({ alg: "ES256" }).setIssuer("tests").setAudience(
        "mesh"
      )
        .setIssuedAt().setExpirationTime("10 minutes").sign(privateKey)
    ] as const
  )
  yield* consul.ask("PUT", "/v1/acl/auth-method", {
    Name: "workloads",
    Type: "jwt",
    Config: {
      JWTValidationPubKeys: [pem],
      BoundAudiences: ["mesh"],
      BoundIssuer: "tests",
      ClaimMappings: { service: "service" }
    }
  })
  yield* consul.ask("PUT", "/v1/acl/binding-rule", {
    AuthMethod: "workloads",
    BindType: "service",
    BindName: "${value.service}"
  })
  return bearer
})

const answers = (port: number, path: string, status: number, printed: () => string) =>
  Effect.retry(
    Effect.filterOrFail(
      Effect.tryPromise(async () => (await fetch(`http://127.0.0.1:${port}${path}`)).status),
      (got) => got === status,
      (got) => `${path} answers ${got}: ${printed()}`
    ),
    Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(300)])
  )

describe.skipIf(RealConsul.binary === undefined)("effect-mesh proxy --grpc-addr, over TLS", () => {
  it.live("serves by a token and by a login, which is given back at the end", () =>
    Effect.gen(function*() {
      const held = yield* files
      const { consul, tls } = yield* RealConsul.overTls(held)
      const [port, apiPort, webPort, upstream] = yield* Effect.all([application, freePort, freePort, freePort])
      yield* consul.ask("PUT", "/v1/config", { Kind: "service-defaults", Name: "api", Protocol: "http" })
      yield* consul.ask("PUT", "/v1/config", {
        Kind: "service-intentions",
        Name: "api",
        Sources: [{ Name: "web", Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/open" } }] }]
      })
      const register = (name: string, of: number, sidecar: number, proxy: object) =>
        consul.ask("PUT", "/v1/agent/service/register", {
          Name: name,
          Port: of,
          Connect: { SidecarService: { Port: sidecar, Checks: [], Proxy: proxy } }
        })
      yield* register("api", port, apiPort, {})
      yield* register("web", 1, webPort, { Upstreams: [{ DestinationName: "api", LocalBindPort: upstream }] })
      const { SecretID } = yield* consul.ask("PUT", "/v1/acl/token", { ServiceIdentities: [{ ServiceName: "api" }] })
      const bearer = yield* authMethod(consul)

      const proxy = (service: string, ...more: ReadonlyArray<string>) => [
        "proxy",
        ...["--grpc-addr", `127.0.0.1:${tls}`, "--grpc-server-name", "server.dc1.consul"],
        ...["--client-cert", held.client.cert, "--client-key", held.client.key],
        ...["--proxy-id", `${service}-sidecar-proxy`, "--node-name", "n", "--http-addr", "127.0.0.1:1"],
        ...more
      ]
      const token = ["--token-file", held.write("token", SecretID)]
      const login = ["--login-auth-method", "workloads", "--login-bearer-token-file", held.write("bearer", bearer)]
      const api = yield* mesh(...proxy("api", "--grpc-ca-file", held.ca, ...token))
      const web = yield* mesh(...proxy("web", "--grpc-ca-file", held.ca, ...login))
      const printed = () => `${api.printed()}\n${web.printed()}`
      yield* answers(upstream, "/open", 200, printed)
      yield* answers(upstream, "/", 403, printed)
      assert.notInclude(printed(), SecretID)
      assert.notInclude(printed(), bearer)

      const logins = Effect.map(
        consul.ask("GET", "/v1/acl/tokens?authmethod=workloads"),
        (tokens) => (Array.isArray(tokens) ? tokens.length : 0)
      )
      assert.strictEqual(yield* logins, 1)
      web.process.kill("SIGTERM")
      assert.strictEqual(yield* web.ended, 0, web.printed())
      assert.strictEqual(yield* logins, 0)
    }))

  it.live("refuses servers that another authority vouches for, or that have another name, and says so", () =>
    Effect.gen(function*() {
      const held = yield* files
      const { tls } = yield* RealConsul.overTls(held)
      const flags = (ca: string, name: string) => [
        ...["--grpc-addr", `127.0.0.1:${tls}`, "--grpc-ca-file", ca, "--grpc-server-name", name],
        ...["--client-cert", held.client.cert, "--client-key", held.client.key, "--proxy-id", "web-sidecar-proxy"],
        ...["--start-timeout", "4"]
      ]
      for (
        const [ca, name, why] of [
          [held.stranger, "server.dc1.consul", /authority|certificate|issuer/],
          [held.ca, "server.dc2.consul", /server\.dc2\.consul/]
        ] as const
      ) {
        const { code, printed } = yield* run("proxy", ...flags(ca, name))
        assert.strictEqual(code, 1, printed)
        assert.match(printed, why)
      }
    }))
})
