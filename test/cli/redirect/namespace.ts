/**
 * A mesh of two services in a network namespace of its own, and a host beside it in another one. Run by `unshare --net`; prints
 * what each connection came to as one line of JSON.
 *
 *     10.77.0.1: agent, web, api, their sidecars, and the rules      10.77.0.2: the outside
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import * as Http from "node:http"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer, type Scope } from "effect"
import * as DevelopmentAgent from "../../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../../src/consul/ConsulClient.ts"
import * as ConsulSidecar from "../../../src/sidecar/ConsulSidecar.ts"
import * as agent from "../../support/consul.ts"
import { folder } from "../../support/temporary.ts"

const bin = fileURLToPath(new URL("../../../src/cli/bin.ts", import.meta.url))
/** Who the application runs as; the sidecars are root's. */
const nobody = 65_534

const sh = (command: string) => execFileSync("sh", ["-ec", command], { encoding: "utf8" })

const started = (command: string, args: ReadonlyArray<string>): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(command, [...args], { stdio: ["ignore", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

const says = (child: ChildProcess, text: string) =>
  Effect.callback<void>((resume) => {
    let said = ""
    child.stdout?.on("data", (data: Buffer) => {
      said += data.toString()
      if (said.includes(text)) resume(Effect.void)
    })
  })

const answering = (port: number, text: string) =>
  Effect.acquireRelease(
    Effect.callback<Http.Server>((resume) => {
      const server = Http.createServer((_, response) => response.end(text))
      server.listen(port, "0.0.0.0", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

/** What a GET of an application comes to: the body, or the code of the failure. */
const get = (url: string, uid = nobody) =>
  Effect.callback<string>((resume) => {
    const program = `require("node:http").get(${JSON.stringify(url)}, { timeout: 3000 }, (response) => {
      response.on("data", (data) => process.stdout.write(String(data)))
    }).on("error", ({ code }) => console.log(code)).on("timeout", () => { console.log("timeout"); process.exit() })`
    const child = spawn(process.execPath, ["-e", program], { uid, stdio: ["ignore", "pipe", "inherit"] })
    let said = ""
    child.stdout.on("data", (data: Buffer) => said += data.toString())
    child.on("close", () => resume(Effect.succeed(said.trim())))
  })

const eventuallyIs = (url: string, wanted: string) =>
  agent.eventually(Effect.filterOrFail(get(url), (said) => said === wanted, (said) => said)).pipe(
    Effect.catch((said) => Effect.succeed(`never: ${said}`))
  )

const program = Effect.gen(function*() {
  const path = yield* folder
  sh("ip link set lo up")
  const outside = yield* started("unshare", ["--net", "sh", "-c", "echo ready; exec sleep 300"])
  yield* says(outside, "ready")
  const within = `nsenter --net=/proc/${outside.pid}/ns/net`
  sh(`
    ip link add mesh0 type veth peer name out0 netns ${outside.pid}
    ip addr add 10.77.0.1/24 dev mesh0; ip link set mesh0 up; ip route add default via 10.77.0.2
    ${within} sh -ec 'ip link set lo up; ip addr add 10.77.0.2/24 dev out0; ip link set out0 up'
  `)
  const serve =
    `require("node:http").createServer((_, response) => response.end("outside")).listen(8080, () => console.log("ready"))`
  const server = yield* started("nsenter", [
    `--net=/proc/${outside.pid}/ns/net`,
    process.execPath,
    "-e",
    serve
  ])
  yield* says(server, "ready")

  const running = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" })
  const consul = yield* Layer.build(ConsulClient.layer({ address: running.address }))
  const results = yield* Effect.gen(function*() {
    yield* answering(9101, "api")
    yield* answering(9102, "web")
    yield* agent.put({ name: "api", port: 9101, sidecar: { port: 20_001 } })
    const upstreams = [{ DestinationName: "api", LocalBindPort: 9201 }]
    yield* agent.put({ name: "web", port: 9102, sidecar: { port: 20_002, upstreams } })
    yield* agent.entry({ Kind: "service-intentions", Name: "api", Sources: [{ Name: "web", Action: "allow" }] })
    yield* agent.entry({ Kind: "service-intentions", Name: "web", Sources: [{ Name: "api", Action: "allow" }] })
    yield* ConsulSidecar.make({ proxyId: "api-sidecar-proxy", drain: 0 })
    yield* ConsulSidecar.make({ proxyId: "web-sidecar-proxy", drain: 0 })
    const { call } = yield* ConsulClient.ConsulClient
    const virtual = (yield* call("api", (api) => api.health.connect({ params: { service: "api" }, query: {} })))
      .body[0]?.Service.TaggedAddresses["consul-virtual"]?.Address ?? ""

    const hosts = join(path, "hosts")
    writeFileSync(hosts, "127.0.0.1 localhost\n")
    const before = { rules: sh("nft list ruleset"), virtual: yield* get(`http://${virtual}:80/`) }
    const redirecting = yield* started(process.execPath, [
      bin,
      "redirect-traffic",
      "--proxy-id",
      "web-sidecar-proxy",
      "--proxy-uid",
      "0",
      "--exclude-inbound-port",
      "9103",
      "--hosts",
      hosts,
      "--http-addr",
      running.address
    ])
    yield* says(redirecting, "Traffic is redirected")

    // As somebody outside, with the certificate of a caller, on the port that the application itself has.
    const { body } = yield* call("leaf", (api) => api.agent.caLeaf({ params: { service: "api" }, query: {} }))
    const roots = yield* call("roots", (api) => api.agent.caRoots({ query: {} }))
    const material = JSON.stringify({
      cert: body.CertPEM,
      key: body.PrivateKeyPEM,
      ca: roots.body.Roots.map(({ RootCert }) => RootCert)
    })
    writeFileSync(join(path, "material.json"), material)
    const ask = `const options = JSON.parse(require("node:fs").readFileSync(${
      JSON.stringify(join(path, "material.json"))
    }, "utf8"));
      const socket = require("node:tls").connect({ host: "10.77.0.1", port: Number(process.argv[1]), ...options, checkServerIdentity() {} });
      socket.on("data", (data) => process.stdout.write(String(data))).on("error", ({ message }) => console.log(message));
      socket.write("GET / HTTP/1.1\\r\\nhost: web\\r\\nconnection: close\\r\\n\\r\\n")`
    const plain = `require("node:http").get("http://10.77.0.1:" + process.argv[1], (response) => response.on("data",
      (data) => process.stdout.write(String(data)))).on("error", ({ code }) => console.log(code))`
    const fromOutside = (code: string, port: number) =>
      Effect.callback<string>((resume) => {
        const child = spawn("nsenter", [
          `--net=/proc/${outside.pid}/ns/net`,
          process.execPath,
          "-e",
          code,
          String(port)
        ], {
          stdio: ["ignore", "pipe", "inherit"]
        })
        let said = ""
        child.stdout.on("data", (data: Buffer) => said += data.toString())
        child.on("close", () => resume(Effect.succeed(said.trim())))
      })
    yield* answering(9103, "excluded")

    const during = {
      virtual: yield* get(`http://${virtual}:80/`),
      anotherPort: yield* get(`http://${virtual}:8443/`),
      unknown: yield* get("http://240.0.0.200:80/"),
      outside: yield* get("http://10.77.0.2:8080/"),
      inbound: (yield* fromOutside(ask, 9102)).split("\r\n").at(-1),
      inboundPlain: yield* fromOutside(plain, 9102),
      inboundExcluded: yield* fromOutside(plain, 9103),
      hosts: sh(`cat ${hosts}`)
    }
    yield* call(
      "mesh",
      (api) =>
        api.config.write({ query: {}, payload: { Kind: "mesh", TransparentProxy: { MeshDestinationsOnly: true } } })
    )
    const closed = {
      outside: yield* eventuallyIs("http://10.77.0.2:8080/", "ECONNREFUSED"),
      outsideOfTheSidecar: yield* get("http://10.77.0.2:8080/", 0),
      virtual: yield* get(`http://${virtual}:80/`),
      inbound: (yield* fromOutside(ask, 9102)).split("\r\n").at(-1)
    }
    redirecting.kill("SIGTERM")
    const code = yield* Effect.callback<number | null>((resume) => {
      redirecting.once("close", (code) => resume(Effect.succeed(code)))
    })
    const after = {
      code,
      rules: sh("nft list ruleset"),
      outside: yield* get("http://10.77.0.2:8080/"),
      hosts: sh(`cat ${hosts}`)
    }
    return { virtual, before, during, closed, after }
  }).pipe(Effect.scoped, Effect.provideContext(consul))
  process.stdout.write(`\nresults ${JSON.stringify(results)}\n`)
})

NodeRuntime.runMain(Effect.scoped(program))
