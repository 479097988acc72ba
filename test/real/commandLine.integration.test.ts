/**
 * The command lines of `consul connect proxy`, as Consul documents them: each starts a process, and bytes go through it. On the other
 * side is a sidecar of this process.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Net from "node:net"
import { join } from "node:path"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as ConsulSidecar from "../../src/sidecar/ConsulSidecar.ts"
import * as Certificates from "../support/certificates.ts"
import * as agent from "../support/consul.ts"
import { meshWith, type Program } from "../support/meshCommand.ts"
import * as Sockets from "../support/sockets.ts"
import * as temporary from "../support/temporary.ts"

/** `db` has an application; `frontend` may call it. */
const world = Effect.gen(function*() {
  const [db, frontend] = [agent.fresh("db"), agent.fresh("frontend")]
  const application = yield* Sockets.shouting
  const [listen, local, spare] = [yield* agent.freePort, yield* agent.freePort, yield* agent.freePort]
  yield* agent.allow(db, frontend)
  return { db, frontend, application: application.port, listen, local, spare }
})
type World = Effect.Success<typeof world>

interface Line {
  readonly args: ReadonlyArray<string>
  readonly variables?: Readonly<Record<string, string>>
}

const start = ({ args, variables = {} }: Line) =>
  Effect.flatMap(agent.variables, (ofAgent) => meshWith({ ...ofAgent, ...variables }, "proxy", ...args))

/** Says hello to a local port, and waits until db shouts it back. */
const expectShout = (program: Program, port: number, host?: string) =>
  agent.eventually(
    Effect.gen(function*() {
      const socket: Net.Socket = yield* Effect.mapError(Sockets.connect(port, host), ({ message }) => message)
      const heard = Sockets.record(socket)
      socket.write("hello")
      const how = yield* Effect.raceFirst(Effect.as(heard.until("HELLO"), "shouted"), heard.ending)
      if (how !== "shouted") return yield* Effect.fail(`${how}: ${program.printed()}`)
    }).pipe(Effect.scoped),
    30
  )

/** The service to call is here. */
const dbHere = ({ application, db, listen }: World) =>
  Effect.gen(function*() {
    yield* agent.register({ name: db, port: application, sidecar: { port: listen } })
    yield* ConsulSidecar.make({ proxyId: `${db}-sidecar-proxy`, drain: "1 second" })
  })

/** The caller is here. */
const frontendHere = ({ db, frontend, local }: World) =>
  Effect.gen(function*() {
    const port = yield* agent.freePort
    const upstreams = [{ DestinationName: db, LocalBindPort: local }]
    yield* agent.register({ name: frontend, port: 1, sidecar: { port, upstreams } })
    yield* ConsulSidecar.make({ proxyId: `${frontend}-sidecar-proxy`, drain: "1 second" })
  })

/** `frontend` as it is registered for a program, with the upstream db. */
const registerFrontend = ({ db, frontend, local }: World) =>
  Effect.flatMap(agent.freePort, (port) =>
    agent.register({
      name: frontend,
      port: 1,
      sidecar: { port, upstreams: [{ DestinationName: db, LocalBindPort: local }] }
    }))

/** Asks the agent for those whose certificate is right, with the token that the agent wants. */
const agentWithTls = Effect.gen(function*() {
  const folder = yield* temporary.folder
  const consul = yield* ConsulClient.ConsulClient
  const own = (yield* agent.variables)["CONSUL_HTTP_TOKEN"]
  const authority = yield* Effect.promise(() => Certificates.root("agents"))
  const server = yield* Effect.promise(() => Certificates.issue(authority, { dns: ["agent.test"], uris: [] }))
  const client = yield* Effect.promise(() => Certificates.issue(authority))
  mkdirSync(join(folder, "authorities"))
  for (
    const [name, text] of [
      ["ca.pem", authority.pem],
      ["authorities/ca.pem", authority.pem],
      ["cert.pem", client.certPem],
      ["key.pem", client.keyPem],
      ["token", "hush\n"]
    ] as const
  ) writeFileSync(join(folder, name), text)
  const tokens: Array<unknown> = []
  const tls = {
    cert: server.certPem,
    key: server.keyPem,
    ca: authority.pem,
    requestCert: true,
    rejectUnauthorized: true
  }
  const front = yield* Effect.acquireRelease(
    Effect.callback<Https.Server>((resume) => {
      const front = Https.createServer(tls, (asked, answer) => {
        const { "x-consul-token": token, ...headers } = asked.headers
        tokens.push(token)
        const { method = "GET", url = "/" } = asked
        const forwarded = Http.request(
          new URL(url, consul.address),
          { method, headers: { ...headers, ...(own === undefined ? {} : { "x-consul-token": own }) } },
          (response) => {
            answer.writeHead(response.statusCode ?? 500, response.headers)
            response.pipe(answer)
          }
        )
        forwarded.on("error", () => answer.destroy())
        answer.on("close", () => forwarded.destroy())
        asked.pipe(forwarded)
      })
      front.listen(0, "127.0.0.1", () => resume(Effect.succeed(front)))
    }),
    (front) =>
      Effect.sync(() => {
        front.close()
        front.closeAllConnections()
      })
  )
  return { address: `https://127.0.0.1:${(front.address() as Net.AddressInfo).port}`, folder, tokens }
})

const forIt: Readonly<Record<string, (world: World) => Line>> = {
  "-service … -upstream": ({ db, frontend, local }) => ({
    args: ["-service", frontend, "-upstream", `${db}:${local}`]
  }),
  "with an equals sign, two dashes, an address and the type": ({ db, frontend, local }) => ({
    args: [`--service=${frontend}`, `--upstream=${db}.service:127.0.0.1:${local}`]
  }),
  "with everything that goes with it": ({ db, frontend, local, spare }) => ({
    args: [
      "-service",
      frontend,
      "-upstream",
      `other:127.0.0.1:${local}`,
      "-upstream",
      `other.query:localhost:${spare}`,
      "-upstream",
      `other:127.0.0.2:${local}`,
      "-upstream",
      `${db}:${local}`,
      "-log-level",
      "DEBUG",
      "-log-json",
      "-stale",
      "-datacenter",
      "dc1",
      "-pprof-addr",
      "127.0.0.1:0"
    ]
  }),
  "as variables": ({ db, frontend, local }) => ({
    args: [],
    variables: { EFFECT_MESH_SERVICE: frontend, EFFECT_MESH_UPSTREAM: `${db}:${local}` }
  })
}

const registered: Readonly<Record<string, (world: World) => Line>> = {
  "-sidecar-for": ({ frontend }) => ({ args: ["-sidecar-for", frontend] }),
  "--sidecar-for in another case": ({ frontend }) => ({ args: [`--sidecar-for=${frontend.toUpperCase()}`] }),
  "-proxy-id": ({ frontend }) => ({ args: ["-proxy-id", `${frontend}-sidecar-proxy`] }),
  "CONNECT_SIDECAR_FOR": ({ frontend }) => ({ args: [], variables: { CONNECT_SIDECAR_FOR: frontend } }),
  "CONNECT_PROXY_ID": ({ frontend }) => ({
    args: [],
    variables: { CONNECT_PROXY_ID: `${frontend}-sidecar-proxy`, CONNECT_SIDECAR_FOR: "nobody" }
  })
}

layer(agent.layer, { timeout: 60_000, excludeTestServices: true })("effect-mesh proxy", (it) => {
  it.effect.each(Object.entries(forIt))(
    "calls for a service that nobody registers: %s",
    ([, line]) =>
      Effect.gen(function*() {
        const here = yield* world
        yield* dbHere(here)
        yield* expectShout(yield* start(line(here)), here.local)
      })
  )

  it.effect("calls what a prepared query finds: -upstream NAME.query:PORT", () =>
    Effect.gen(function*() {
      const here = yield* world
      yield* dbHere(here)
      const query = agent.fresh("nearest")
      yield* agent.query({ Name: query, Service: { Service: here.db } })
      const program = yield* start({ args: ["-service", here.frontend, "-upstream", `${query}.query:${here.local}`] })
      yield* expectShout(program, here.local)
    }))

  it.effect.each(Object.entries(registered))(
    "stands beside a service that is registered: %s",
    ([, line]) =>
      Effect.gen(function*() {
        const here = yield* world
        yield* dbHere(here)
        yield* registerFrontend(here)
        yield* expectShout(yield* start(line(here)), here.local)
      })
  )

  it.effect("is called by the mesh, and known to the agent while it runs: -listen -service-addr -register", () =>
    Effect.gen(function*() {
      const here = yield* world
      yield* frontendHere(here)
      const program = yield* start({
        args: [
          "-service",
          here.db,
          "-service-addr",
          `127.0.0.1:${here.application}`,
          "-listen",
          `:${here.listen}`,
          "-register",
          "-register-id",
          "two"
        ]
      })
      yield* expectShout(program, here.local)
      const consul = yield* ConsulClient.ConsulClient
      const proxy = Effect.map(
        consul.call("services", (api) => api.agent.services({ query: {} })),
        ({ body }) => body[`${here.db}-proxy-two`]
      )
      const found = yield* proxy
      assert.strictEqual(found?.Kind, "connect-proxy")
      assert.strictEqual(found?.Service, `${here.db}-proxy`)
      assert.strictEqual(found?.Port, here.listen)
      const { body: checks } = yield* consul.call("checks", (api) => api.agent.checks({ query: {} }))
      assert.strictEqual(checks[`${here.db}-proxy-two-ttl`]?.Status, "passing")
      program.process.kill("SIGINT")
      assert.strictEqual(yield* program.ended, 0, program.printed())
      assert.isUndefined(yield* proxy)
    }))

  it.effect("is called by the mesh and calls it, registered by somebody else: -listen and -upstream", () =>
    Effect.gen(function*() {
      const here = yield* world
      yield* frontendHere(here)
      yield* agent.register({ name: here.db, port: here.application, sidecar: { port: here.listen } })
      const [other, local] = [yield* world, yield* agent.freePort]
      yield* dbHere(other)
      yield* agent.allow(other.db, here.db)
      const program = yield* start({
        args: [
          "-service",
          here.db,
          "-service-addr",
          `localhost:${here.application}`,
          "-listen",
          `127.0.0.1:${here.listen}`,
          "-upstream",
          `${other.db}:${local}`
        ]
      })
      yield* expectShout(program, here.local)
      yield* expectShout(program, local)
    }))

  it.effect.each(
    [
      ["-ca-file, -token", "-ca-file", "ca.pem", ["-token", "hush"]],
      ["-ca-path, -token-file", "-ca-path", "authorities", ["-token-file", "token"]]
    ] as const
  )("asks an agent that wants certificates and a token: -client-cert, -client-key, -tls-server-name, %s", (
    [, flag, authorities, token]
  ) =>
    Effect.gen(function*() {
      const here = yield* world
      yield* dbHere(here)
      const { address, folder, tokens } = yield* agentWithTls
      const inFolder = (name: string) => join(folder, name)
      const program = yield* start({
        args: [
          "-service",
          here.frontend,
          "-upstream",
          `${here.db}:${here.local}`,
          "-http-addr",
          address,
          flag,
          inFolder(authorities),
          "-client-cert",
          inFolder("cert.pem"),
          "-client-key",
          inFolder("key.pem"),
          "-tls-server-name",
          "agent.test",
          ...token.map((word) => word === "token" ? inFolder(word) : word)
        ]
      })
      yield* expectShout(program, here.local)
      assert.deepStrictEqual([...new Set(tokens)], ["hush"])
    }))
})
