import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import { freePort } from "../support/ports.ts"
import * as HttpApplication from "../support/httpApplication.ts"
import { mesh, run } from "../support/meshCommand.ts"

const put = (address: string, path: string, body: object) =>
  Effect.promise(async () => {
    const answer = await fetch(`${address}${path}`, { method: "PUT", body: JSON.stringify(body) })
    assert.isTrue(answer.ok, await answer.text())
  })

/** Answers with the path that was asked for. */
const application = HttpApplication.start((request, response) => void response.end(request.url))

/** `api` with its application, and `web`, which calls it at `upstream`. */
const registered = Effect.gen(function*() {
  const agent = yield* DevelopmentAgent.make({ port: 0, grpcPort: 0, defaultIntentionPolicy: "deny" })
  const [port, apiPort, webPort, upstream] = yield* Effect.all([application, freePort, freePort, freePort])
  yield* put(agent.address, "/v1/config", { Kind: "service-defaults", Name: "api", Protocol: "http" })
  yield* put(agent.address, "/v1/agent/service/register", {
    Name: "api",
    Port: port,
    Connect: { SidecarService: { Port: apiPort, Checks: [] } }
  })
  yield* put(agent.address, "/v1/agent/service/register", {
    Name: "web",
    Port: 1,
    Connect: {
      SidecarService: {
        Port: webPort,
        Checks: [],
        Proxy: { Upstreams: [{ DestinationName: "api", LocalBindPort: upstream }] }
      }
    }
  })
  return { address: agent.address, grpc: `127.0.0.1:${agent.grpcPort}`, upstream, webPort }
})

const answers = (port: number, path: string, status: number) =>
  Effect.retry(
    Effect.filterOrFail(
      Effect.tryPromise(async () => (await fetch(`http://127.0.0.1:${port}${path}`)).status),
      (got) => got === status,
      (got) => `${path} answers ${got}`
    ),
    Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(300)])
  )

describe("effect-mesh proxy --grpc-addr", () => {
  it.live("shows what the servers say of the proxy, and where each setting comes from", () =>
    Effect.gen(function*() {
      const { grpc, upstream, webPort } = yield* registered
      const { code, printed } = yield* run(
        "proxy",
        "--grpc-addr",
        grpc,
        "--proxy-id",
        "web-sidecar-proxy",
        "--print-config"
      )
      assert.strictEqual(code, 0, printed)
      assert.match(printed, new RegExp(`listen: 0\\.0\\.0\\.0:${webPort} +# xDS`))
      assert.match(printed, new RegExp(`upstream api: 127\\.0\\.0\\.1:${upstream} +# xDS`))
      assert.match(printed, new RegExp(`grpc-addr: "${grpc}" +# flag`))
      assert.notInclude(printed, "not understood")
    }))

  it.live("serves what the servers say, and follows their intentions, without an agent", () =>
    Effect.gen(function*() {
      const { address, grpc, upstream } = yield* registered
      for (const service of ["api", "web"]) {
        yield* mesh(
          "proxy",
          "--grpc-addr",
          grpc,
          "--proxy-id",
          `${service}-sidecar-proxy`,
          "--http-addr",
          "127.0.0.1:1"
        )
      }
      yield* answers(upstream, "/", 403)
      yield* put(address, "/v1/config", {
        Kind: "service-intentions",
        Name: "api",
        Sources: [{ Name: "web", Permissions: [{ Action: "allow", HTTP: { PathPrefix: "/open" } }] }]
      })
      yield* answers(upstream, "/open", 200)
      yield* answers(upstream, "/", 403)
    }))

  it.live.each<[ReadonlyArray<string>, string]>([
    [["--grpc-addr", "127.0.0.1:1", "--sidecar-for", "web"], "--grpc-addr serves one proxy"],
    [["--grpc-addr", "nowhere", "--proxy-id", "web"], "is no HOST:PORT"],
    [["--grpc-addr", "127.0.0.1:1", "--proxy-id", "web", "--grpc-server-name", "x"], "--grpc-ca-file"],
    [["--grpc-addr", "127.0.0.1:1", "--proxy-id", "web", "--login-auth-method", "jwt"], "--login-bearer-token-file"],
    [["--grpc-addr", "127.0.0.1:1", "--proxy-id", "web", "--grpc-ca-file", "/nowhere.pem"], "/nowhere.pem"]
  ])("says what does not fit together: %s", ([flags, why]) =>
    Effect.gen(function*() {
      const { code, printed } = yield* run("proxy", ...flags)
      assert.strictEqual(code, 1)
      assert.include(printed, why)
    }))
})
