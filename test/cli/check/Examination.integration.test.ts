import { assert, layer } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Option } from "effect"
import * as Http from "node:http"
import * as Examination from "../../../src/cli/check/Examination.ts"
import type * as Finding from "../../../src/cli/check/Finding.ts"
import * as ConsulClient from "../../../src/consul/ConsulClient.ts"
import * as Settings from "../../../src/consul/Settings.ts"
import * as SpiffeId from "../../../src/identity/SpiffeId.ts"
import * as ConsulSidecar from "../../../src/sidecar/ConsulSidecar.ts"
import { badAgent } from "../../support/agents.ts"
import * as Certificates from "../../support/certificates.ts"
import * as agent from "../../support/consul.ts"
import * as Sockets from "../../support/sockets.ts"

/** Web calls api; both have an application and a registered sidecar, which do not run yet. */
const world = Effect.gen(function*() {
  const [web, api] = [agent.fresh("web"), agent.fresh("api")]
  const application = yield* Sockets.shouting
  const [webPort, apiPort, local] = [yield* agent.freePort, yield* agent.freePort, yield* agent.freePort]
  yield* agent.register({ name: api, port: application.port, sidecar: { port: apiPort } })
  const upstreams = [{ DestinationName: api, LocalBindPort: local }]
  yield* agent.register({ name: web, port: application.port, sidecar: { port: webPort, upstreams } })
  const start = (name: string) => ConsulSidecar.make({ proxyId: `${name}-sidecar-proxy`, drain: "1 second" })
  return { web, api, webPort, apiPort, local, start, application }
})

/** The same, allowed and running. */
const running = Effect.gen(function*() {
  const here = yield* world
  yield* agent.allow(here.api, here.web)
  yield* agent.allow(here.web, here.api)
  yield* here.start(here.web)
  yield* here.start(here.api)
  return here
})

const noFlags: Examination.Options["proxy"] = {
  sidecarFor: [],
  proxyId: Option.none(),
  node: false,
  spiffe: "strict",
  defaultPolicy: Option.none(),
  service: Option.none(),
  serviceAddr: Option.none(),
  listen: Option.none(),
  upstream: [],
  register: false,
  registerId: Option.none()
}

/** What is said, line by line, with the mark in front. */
const lines = (sections: ReadonlyArray<Finding.Section>): ReadonlyArray<string> =>
  sections.flatMap(({ findings }) =>
    findings.map(({ remedy, state, what }) => `${state}: ${what}${remedy === undefined ? "" : ` → ${remedy}`}`)
  )

const examine = (proxy: Partial<Examination.Options["proxy"]>, settings: Partial<Settings.Settings> = {}) =>
  Effect.map(
    Examination.make({
      proxy: { ...noFlags, ...proxy },
      settings: { ...Settings.defaults, ...settings },
      within: Duration.seconds(15),
      tell: () => Effect.void
    }),
    lines
  )

const beside = (service: string) => examine({ sidecarFor: [service] })

/** The lines that are not good. */
const bad = (all: ReadonlyArray<string>) => all.filter((line) => !line.startsWith("good"))

const says = (all: ReadonlyArray<string>, ...expected: ReadonlyArray<RegExp>) => {
  for (const line of expected) assert.isTrue(all.some((each) => line.test(each)), `${line} in\n${all.join("\n")}`)
}

interface Answer {
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** Asks through somebody who changes some answers. */
const through = <A, E>(
  change: (path: string) => Answer | undefined,
  effect: Effect.Effect<A, E, ConsulClient.ConsulClient>
) =>
  Effect.gen(function*() {
    const { address } = yield* ConsulClient.ConsulClient
    const front = yield* badAgent((asked, answer) => {
      const { headers, method = "GET", url = "/" } = asked
      const changed = change(url)
      if (changed?.body !== undefined || changed?.status !== undefined) {
        answer.writeHead(changed.status ?? 200, { "content-type": "application/json", ...changed.headers })
        answer.end(typeof changed.body === "string" ? changed.body : JSON.stringify(changed.body))
        return
      }
      asked.pipe(Http.request(new URL(url, address), { method, headers }, (response) => {
        answer.writeHead(response.statusCode!, { ...response.headers, ...changed?.headers })
        response.pipe(answer)
      }))
    })
    const client = yield* Layer.build(ConsulClient.layer({ address: front.address }))
    return yield* Effect.provideService(
      effect,
      ConsulClient.ConsulClient,
      Context.get(client, ConsulClient.ConsulClient)
    )
  })

const answering = (path: string, answer: Answer) => (asked: string) => asked.startsWith(path) ? answer : undefined

layer(agent.layer, { timeout: 60_000, excludeTestServices: true })("an examination", (it) => {
  it.effect("finds all in order where all is, by a handshake with each instance", () =>
    Effect.gen(function*() {
      const { api, local, web, webPort } = yield* running
      const all = yield* beside(web)
      assert.deepStrictEqual(bad(all), [])
      says(
        all,
        /^good: the agent at http/,
        /^good: the clocks/,
        new RegExp(`^good: ${web}-sidecar-proxy is registered as the proxy of ${web}$`),
        /^good: the certificate is spiffe:.* until/,
        /^good: it leads to the root/,
        new RegExp(`^good: the sidecar answers callers at 0.0.0.0:${webPort}$`),
        /^good: the application accepts connections/,
        new RegExp(`^good: somebody listens at 127.0.0.1:${local}, where the upstream ${api} is called$`),
        new RegExp(`^good: ${web} may call ${api}: allowed by intention`),
        new RegExp(`^good: .*/${api}-sidecar-proxy at .* is spiffe:.*/svc/${api} \\(\\d+ ms\\)$`)
      )
    }))

  it.effect("looks at what flags describe before it runs", () =>
    Effect.gen(function*() {
      const { api, local } = yield* running
      const me = agent.fresh("me")
      const port = yield* agent.freePort
      const all = yield* examine({ service: Option.some(me), upstream: [`${api}:${port}`] })
      says(all, new RegExp(`^good: 127.0.0.1:${port}, where the upstream ${api} is called, is free$`))
      assert.strictEqual(bad(all).length, 1)
      says(bad(all), new RegExp(`^broken: ${me} may not call ${api}: .* → .*consul intention create ${me} ${api}$`))
      const taken = yield* examine({ service: Option.some(me), upstream: [`${api}:${local}`] })
      says(taken, /somebody listens at 127.0.0.1/)
    }))

  it.effect("goes no further than an agent that does not answer", () =>
    Effect.gen(function*() {
      const away = yield* Layer.build(ConsulClient.layer({ address: `127.0.0.1:${yield* Sockets.closedPort}` }))
      const all = yield* beside("web").pipe(Effect.provideContext(away))
      assert.strictEqual(all.length, 2)
      says(all, /^broken: the agent cannot be reached: .*ECONNREFUSED.* → Start it/, /^unknown: all else/)
    }))

  it.effect.each(
    [
      [
        "no leader",
        "/v1/status/leader",
        { body: "\"\"" },
        /^broken: its servers have no leader.* → Look at the servers/
      ],
      [
        "a clock that is off by seconds",
        "/v1/status/leader",
        { headers: { date: new Date(Date.now() - 20_000).toUTCString() } },
        /^doubt: the clock here is \d+ s ahead of that of the agent → Let both machines keep time/
      ],
      [
        "a clock that is off by minutes",
        "/v1/status/leader",
        { headers: { date: new Date(Date.now() + 600_000).toUTCString() } },
        /^broken: the clock here is \d+ s behind that of the agent → Let both/
      ],
      [
        "a token that the agent does not know",
        "/v1/acl/token/self",
        { status: 403, body: "ACL not found" },
        /^broken: cannot see who the token is: the agent does not know the token → Set a valid one/
      ],
      [
        "a token that may not get a certificate",
        "/v1/agent/connect/ca/leaf/",
        { status: 403, body: "Permission denied" },
        /^broken: cannot get a certificate for web.* the token may not → .*service:write on web/
      ],
      [
        "a token that gets a certificate from the agent's cache only",
        "/v1/agent/connect/authorize",
        { status: 403, body: "Permission denied" },
        /^broken: the token may not get certificates for web.* → .*service:write on web/
      ],
      [
        "a token that may not read intentions",
        "/v1/connect/intentions/match",
        { status: 403, body: "Permission denied" },
        /^broken: cannot read the intentions about callers of web.* → .*intentions:read on web/
      ],
      [
        "a token that may not read the agent",
        "/v1/agent/self",
        { status: 403, body: "Permission denied" },
        /^doubt: the token may not read the agent.* → Give it agent:read/
      ],
      [
        "a token that sees only some instances",
        "/v1/health/connect/",
        { headers: { "x-consul-results-filtered-by-acls": "true" } },
        /^broken: cannot read the instances of api.* leaves out .* → Give it service:read on api.*node:read/
      ],
      [
        "servers that do not answer",
        "/v1/discovery-chain/",
        { status: 500, body: "rpc error: No cluster leader" },
        /^broken: cannot read where calls to api.* go: the agent answered with status 500 \(rpc error: No cluster leader\)/
      ]
    ] as const
  )("finds %s", ([, path, answer, expected]) =>
    Effect.gen(function*() {
      const { web } = yield* running
      const all = yield* through(
        answering(path, answer),
        examine({ sidecarFor: [web] }, { tokenFile: "token" })
      )
      says(all, expected)
    }))

  it.effect("finds that no token is sent where there are ACLs", () =>
    Effect.gen(function*() {
      const { web } = yield* running
      const all = yield* through(
        answering("/v1/acl/token/self", { status: 403, body: "Permission denied: anonymous token" }),
        beside(web)
      )
      says(all, /^doubt: no token is sent, and the agent has ACLs → Set a valid one/)
    }))

  it.effect("finds registrations that are missing, or those of something else", () =>
    Effect.gen(function*() {
      const { web } = yield* world
      says(yield* beside("nobody"), /^broken: no sidecar is registered for the service nobody → Register the service/)
      const byId = (id: string) => examine({ proxyId: Option.some(id) })
      says(yield* byId("nobody"), /^broken: nobody is not registered at this agent.* → Register it at this very agent/)
      says(yield* byId(web), /^broken: .* is an application, not the proxy of a service/)
    }))

  it.effect("finds what keeps callers away: a check that fails, maintenance", () =>
    Effect.gen(function*() {
      const { web } = yield* running
      const consul = yield* ConsulClient.ConsulClient
      yield* consul.call("check", (api) =>
        api.agent.registerCheck({
          query: {},
          payload: { Name: "disk", ID: `${web}-disk`, ServiceID: web, TTL: "1h", Status: "critical", Notes: "" }
        }))
      yield* consul.call("fail", (api) =>
        api.agent.failCheck({ params: { checkId: `${web}-disk` }, query: { note: "99 % full" } }))
      says(
        yield* beside(web),
        new RegExp(`^broken: the check "disk" of ${web} is critical: 99 % full → Callers are sent elsewhere`)
      )
      yield* agent.maintenance(`${web}-sidecar-proxy`, true)
      says(
        yield* beside(web),
        new RegExp(`^broken: ${web}-sidecar-proxy is in maintenance mode.* → consul maint -disable -service=${web}`)
      )
    }))

  it.effect("finds that neither sidecar nor application run", () =>
    Effect.gen(function*() {
      const { api, application, local, web, webPort } = yield* world
      application.close()
      says(
        yield* beside(web),
        new RegExp(
          `^broken: nobody listens at 0.0.0.0:${webPort}.* → Start the sidecar: effect-mesh proxy --proxy-id ${web}`
        ),
        /^broken: the application does not accept connections at 127.0.0.1:\d+: ECONNREFUSED → Start it/,
        new RegExp(
          `^broken: nobody listens at 127.0.0.1:${local}, where the upstream ${api} is called → Start the sidecar`
        ),
        new RegExp(`^doubt: nobody may call ${web}.* → .*consul intention create CALLER ${web}`),
        new RegExp(`^broken: ${web} may not call ${api}: denied by the default policy`),
        new RegExp(`^broken: .*/${api}-sidecar-proxy at .*ECONNREFUSED → Does its sidecar run`)
      )
    }))

  it.effect("finds ports that other programs have", () =>
    Effect.gen(function*() {
      const other = yield* Sockets.server((socket) => socket.end("hello, this is no TLS\n"))
      const second = yield* Sockets.server(() => {})
      const [web, api] = [agent.fresh("web"), agent.fresh("api")]
      const upstreams = [{ DestinationName: api, LocalBindPort: second.port }]
      yield* agent.register({ name: web, port: 1, sidecar: { port: other.port, upstreams } })
      says(
        yield* beside(web),
        new RegExp(
          `^broken: 0.0.0.0:${other.port} is not answered by the sidecar: .* → .*if it is another program, end it`
        ),
        new RegExp(
          `^broken: 127.0.0.1:${second.port}, where the upstream ${api} is called, is taken, and not by the sidecar`
        )
      )
    }))

  it.effect("finds that an instance is another service by now, or no member of the mesh", () =>
    Effect.gen(function*() {
      const { api, apiPort, web } = yield* running
      const gone = yield* Sockets.server((socket) => socket.end("hello, this is no TLS\n"))
      yield* agent.register({ name: api, id: `${api}-2`, port: 1, sidecar: { port: gone.port } })
      const moved = agent.fresh("moved")
      yield* agent.register({ name: moved, port: 1, sidecar: { port: apiPort } })
      says(
        yield* beside(web),
        new RegExp(`^good: .*/${api}-sidecar-proxy at`),
        new RegExp(`^broken: .*/${api}-2-sidecar-proxy at .* → .*Compare roots and clocks`)
      )
      const all = yield* examine({ service: Option.some(web), upstream: [`${moved}:${yield* agent.freePort}`] })
      says(
        all,
        new RegExp(`^broken: .*/${moved}-sidecar-proxy at .* is spiffe.*/svc/${api}, .* → Another service has the port`)
      )
    }))

  it.effect("finds upstreams that lead nowhere", () =>
    Effect.gen(function*() {
      const web = agent.fresh("web")
      const port = yield* agent.freePort
      const all = yield* examine({ service: Option.some(web), upstream: [`nobody:${port}`, `none.query:${port}`] })
      says(
        all,
        /^broken: the target nobody.* has no instance with a sidecar or a native integration → Register one/,
        /^broken: there is no prepared query none → Create it/
      )
    }))

  it.effect("asks for requests where permissions decide", () =>
    Effect.gen(function*() {
      const { api, web } = yield* world
      yield* agent.entry({ Kind: "service-defaults", Name: api, Protocol: "http" })
      yield* agent.entry({
        Kind: "service-intentions",
        Name: api,
        Sources: [{ Name: web, Permissions: [{ Action: "allow", HTTP: { PathExact: "/orders" } }] }]
      })
      says(
        yield* beside(web),
        new RegExp(
          `^doubt: ${web} may not call ${api} with GET /: .*Other requests may be allowed → effect-mesh policy check`
        )
      )
    }))

  it.effect("finds certificates that have expired, are not valid yet, or lead to no root", () =>
    Effect.gen(function*() {
      const web = agent.fresh("web")
      const consul = yield* ConsulClient.ConsulClient
      const { body: { TrustDomain } } = yield* consul.call("roots", (api) => api.agent.caRoots({ query: {} }))
      const uris = [SpiffeId.format(SpiffeId.service({ trustDomain: TrustDomain, datacenter: "dc1", service: web }))]
      const authority = yield* Effect.promise(() => Certificates.root("stranger"))
      const withLeaf = (options: Certificates.LeafOptions) =>
        Effect.gen(function*() {
          const { certPem, keyPem } = yield* Effect.promise(() => Certificates.issue(authority, { ...options, uris }))
          const body = { SerialNumber: "01", CertPEM: certPem, PrivateKeyPEM: keyPem, Service: web }
          return yield* through(
            answering("/v1/agent/connect/ca/leaf/", { body }),
            examine({ service: Option.some(web), upstream: [`api:${yield* agent.freePort}`] })
          )
        })
      const hour = 3_600_000
      says(
        yield* withLeaf({ notBefore: -2 * hour, notAfter: -hour }),
        /^broken: the certificate has expired at .* → Look at the agent's log/
      )
      says(
        yield* withLeaf({ notBefore: hour, notAfter: 2 * hour }),
        /^broken: the certificate is not valid before .* → Correct the clock/
      )
      says(yield* withLeaf({}), /^broken: the certificate leads to none of the trusted roots/)
    }))
})
