import { assert, describe, it } from "@effect/vitest"
import { Duration, Result, Schema } from "effect"
import * as AgentService from "../../src/consul/AgentService.ts"
import * as CertificateAuthority from "../../src/consul/CertificateAuthority.ts"
import * as DiscoveryChain from "../../src/consul/DiscoveryChain.ts"
import * as Health from "../../src/consul/Health.ts"
import * as PreparedQuery from "../../src/consul/PreparedQuery.ts"
import * as SpiffeId from "../../src/identity/SpiffeId.ts"
import * as CaRoots from "../../src/watch/CaRoots.ts"
import * as DiscoveryChains from "../../src/watch/DiscoveryChains.ts"
import * as Endpoints from "../../src/watch/Endpoints.ts"
import * as LeafCertificate from "../../src/watch/LeafCertificate.ts"
import * as PreparedQueries from "../../src/watch/PreparedQueries.ts"
import * as ConnectionSettings from "../../src/watch/registration/ConnectionSettings.ts"
import * as ProxyRegistration from "../../src/watch/ProxyRegistration.ts"
import * as recordings from "../support/recordings.ts"

const decode = <S extends Schema.Top>(schema: S) =>
  Schema.decodeUnknownSync(Schema.toCodecGoJson(schema) as unknown as Schema.Codec<S["Type"]>)

/** What a real agent answered. */
const recorded = (name: string, path: string): unknown => {
  const exchange = recordings.all.find((recording) => recording.name === name)?.exchanges
    .find(({ request }) => request.path === path && request.method === "GET")
  assert.isDefined(exchange, `${name} has no GET ${path}`)
  return JSON.parse(recordings.bodyText(exchange))
}

const failureOf = <A>(result: Result.Result<A, string>): string =>
  Result.isFailure(result) ? result.failure : "no failure"

describe("CaRoots", () => {
  const roots = decode(CertificateAuthority.Roots)

  it("reads the bundle of a real agent", () => {
    const answer = roots(recorded("ca", "/v1/agent/connect/ca/roots"))
    const bundle = Result.getOrThrow(CaRoots.toBundle(answer))
    assert.strictEqual(bundle.trustDomain, answer.TrustDomain)
    assert.deepStrictEqual(bundle.roots.map((root) => [root.id, root.active]), [[answer.ActiveRootID, true]])
  })

  it("refuses a bundle without a root, which would trust nobody", () => {
    assert.strictEqual(
      failureOf(CaRoots.toBundle(roots({ TrustDomain: "x.consul", Roots: null }))),
      "it names no CA root"
    )
  })

  it("refuses a bundle of which one root cannot be read", () => {
    const answer = roots(recorded("ca", "/v1/agent/connect/ca/roots"))
    const broken = { ...answer, Roots: [...answer.Roots, { ...answer.Roots[0]!, Name: "East", RootCert: "oops" }] }
    assert.match(failureOf(CaRoots.toBundle(broken)), /the CA root East/)
  })
})

describe("LeafCertificate", () => {
  const leaf = decode(CertificateAuthority.Leaf)
  const answer = leaf(recorded("ca", "/v1/agent/connect/ca/leaf/web"))

  it("reads the leaf of a real agent, and takes the identity from the certificate", () => {
    const value = Result.getOrThrow(LeafCertificate.toLeaf({ ...answer, ServiceURI: "spiffe://other" }))
    assert.strictEqual(SpiffeId.format(value.identity), answer.ServiceURI)
    assert.notInclude(JSON.stringify(value), "PRIVATE KEY")
  })

  it("refuses a leaf without a key, and one that is a CA's", () => {
    assert.match(failureOf(LeafCertificate.toLeaf({ ...answer, PrivateKeyPEM: "" })), /no private key/)
    const { Roots } = decode(CertificateAuthority.Roots)(recorded("ca", "/v1/agent/connect/ca/roots"))
    assert.match(failureOf(LeafCertificate.toLeaf({ ...answer, CertPEM: Roots[0]!.RootCert })), /is no service/)
  })
})

describe("DiscoveryChains", () => {
  const chain = decode(Schema.Struct({ Chain: DiscoveryChain.Chain }))
  const route = (name: string, path: string) => DiscoveryChains.toRoute(chain(recorded(name, path)).Chain)

  it("follows a default chain to its only target", () => {
    const { connectTimeoutMillis, targets } = Result.getOrThrow(route("chain-default", "/v1/discovery-chain/web"))
    assert.deepStrictEqual(targets.map(({ datacenter, service }) => `${service}@${datacenter}`), ["web@dc1"])
    assert.strictEqual(connectTimeoutMillis, 5000)
  })

  it("follows a redirect into a subset, and its failover to other datacenters in order", () => {
    const { targets } = Result.getOrThrow(route("chain-failover-redirect", "/v1/discovery-chain/old"))
    assert.deepStrictEqual(targets.map(({ id }) => id), [
      "v1.web.default.dc1",
      "v1.web.default.dc2",
      "v1.web.default.dc3"
    ])
    assert.deepStrictEqual(targets.map(({ service }) => service), ["web", "web", "web"])
  })

  it("fails over to another service", () => {
    const { targets } = Result.getOrThrow(route("chain-failover-redirect", "/v1/discovery-chain/web"))
    assert.deepStrictEqual(targets.map(({ service }) => service), ["web", "backup"])
  })

  it("carries the filter of a subset", () => {
    const { targets } = Result.getOrThrow(route("chain-resolver-subsets", "/v1/discovery-chain/web"))
    assert.strictEqual(targets[0].filter, "Service.Meta.version == v1")
  })

  it("keeps to a connect timeout that a timer can wait for", () => {
    const { Chain } = chain(recorded("chain-default", "/v1/discovery-chain/web"))
    const start = Chain.Nodes[Chain.StartNode]!
    const resolver = { ...start.Resolver!, ConnectTimeout: Duration.days(30) }
    const Nodes = { ...Chain.Nodes, [Chain.StartNode]: { ...start, Resolver: resolver } }
    const { connectTimeoutMillis } = Result.getOrThrow(DiscoveryChains.toRoute({ ...Chain, Nodes }))
    assert.strictEqual(connectTimeoutMillis, 2 ** 31 - 1)
  })

  it("refuses a chain that starts at a router, which only an HTTP proxy can follow", () => {
    assert.match(failureOf(route("chain-router", "/v1/discovery-chain/web")), /starts at "router:web.default"/)
  })

  it("says which targets are of a peer, and which are reached through gateways", () => {
    const { Chain } = chain(recorded("chain-default", "/v1/discovery-chain/web"))
    const Targets = Object.fromEntries(Object.entries(Chain.Targets).map(([id, t]) => [id, { ...t, Peer: "east" }]))
    assert.strictEqual(Result.getOrThrow(DiscoveryChains.toRoute({ ...Chain, Targets })).targets[0].peer, "east")
    const by = (Mode: string, External = false) => {
      const Targets = Object.fromEntries(
        Object.entries(Chain.Targets).map(([id, target]) => [id, { ...target, External, MeshGateway: { Mode } }])
      )
      return Result.getOrThrow(DiscoveryChains.toRoute({ ...Chain, Targets })).targets[0].gateway
    }
    assert.deepStrictEqual(
      [by("local"), by("remote"), by("none"), by(""), by("nonsense"), by("local", true)],
      ["local", "remote", undefined, undefined, undefined, undefined]
    )
  })
})

describe("PreparedQueries", () => {
  const { Nodes } = decode(PreparedQuery.Execution)(recorded("prepared-query", "/v1/query/nearest-web/execute"))
  const found = (entries: ReadonlyArray<Health.ServiceEntry>) => PreparedQueries.toEndpoints(entries, "dc1")

  it("has the instances by id, whatever the order of the answer, each as the service behind it", () => {
    const expected = [{ service: "web", datacenter: "dc1" }]
    const address = { host: "127.0.0.1", port: 21000 }
    assert.deepStrictEqual(found(Nodes), [
      { id: "vm/web-1-sidecar-proxy", address, weight: 1, expected },
      { id: "vm/web-sidecar-proxy", address, weight: 1, expected }
    ])
    assert.deepStrictEqual(found(Nodes.toReversed()), found(Nodes))
  })

  it("leaves health to the query, but for the weight of a warning", () => {
    const entry = Nodes[0]!
    const weights = (...Checks: ReadonlyArray<string>) =>
      found([{
        ...entry,
        Service: { ...entry.Service, Weights: { Passing: 7, Warning: 3 } },
        Checks: Checks.map((Status) => Health.Check.make({ Status }))
      }]).map(({ weight }) => weight)
    assert.deepStrictEqual([weights("passing"), weights("warning"), weights("critical")], [[7], [3], [7]])
  })

  it("takes native instances for themselves, and leaves out gateways and peers", () => {
    const entry = Nodes[0]!
    const as = (Service: Partial<Health.NodeService>) => ({ ...entry, Service: { ...entry.Service, ...Service } })
    const native = as({ Kind: "", Service: "api", Connect: { Native: true } })
    assert.deepStrictEqual(found([native]).flatMap(({ expected }) => expected), [{ service: "api", datacenter: "dc1" }])
    assert.deepStrictEqual(found([as({ Kind: "mesh-gateway" }), as({ Kind: "" }), as({ PeerName: "east" })]), [])
  })
})

describe("Endpoints", () => {
  const entry = decode(Schema.Array(Health.ServiceEntry))(recorded("registration", "/v1/health/connect/web"))[0]!
  const anyHealth = { onlyPassing: false }
  const status = (...statuses: ReadonlyArray<string>) => statuses.map((Status) => Health.Check.make({ Status }))
  const weight = (checks: ReadonlyArray<Health.Check>, weights = { Passing: 3, Warning: 2 }, onlyPassing = false) =>
    Endpoints.toEndpoint({ ...entry, Checks: checks, Service: { ...entry.Service, Weights: weights } }, {
      onlyPassing
    }, "dc1")[0]!.weight

  it("dials the address of the node where the service has none", () => {
    assert.deepStrictEqual(Endpoints.toEndpoint(entry, anyHealth, "dc1"), [
      { id: "vm/web-1-sidecar-proxy", address: { host: "127.0.0.1", port: 21000 }, weight: 1 }
    ])
  })

  it("dials the public address in another datacenter", () => {
    const remote = {
      ...entry,
      Service: { ...entry.Service, TaggedAddresses: { wan: { Address: "203.0.113.7", Port: 443 } } }
    }
    assert.deepStrictEqual(Endpoints.toEndpoint(remote, anyHealth, "dc2")[0]!.address, {
      host: "203.0.113.7",
      port: 443
    })
    assert.deepStrictEqual(Endpoints.toEndpoint(remote, anyHealth, "dc1")[0]!.address, {
      host: "127.0.0.1",
      port: 21000
    })
  })

  it("dials the unix socket of a service that has one, and nothing where there is no port", () => {
    const socket = { ...entry, Service: { ...entry.Service, SocketPath: "/run/web.sock" } }
    assert.deepStrictEqual(Endpoints.toEndpoint(socket, anyHealth, "dc1")[0]!.address, { path: "/run/web.sock" })
    assert.deepStrictEqual(
      Endpoints.toEndpoint({ ...entry, Service: { ...entry.Service, Port: 0 } }, anyHealth, "dc1"),
      []
    )
  })

  it("says which check speaks against an instance", () => {
    const why = (onlyPassing: boolean, ...Checks: ReadonlyArray<Health.Check>) =>
      Endpoints.toEndpoint({ ...entry, Checks }, { onlyPassing }, "dc1")[0]!.unhealthy
    const [sound] = status("passing")
    const failing: Health.Check = { ...sound!, Name: "Connect Sidecar Listening", Status: "critical" }
    const shaky: Health.Check = { ...sound!, Name: "", CheckID: "shaky", Status: "warning" }
    assert.strictEqual(why(false, sound!, shaky, failing), "\"Connect Sidecar Listening\" is critical")
    assert.strictEqual(why(true, sound!, shaky), "\"shaky\" is warning")
    assert.isUndefined(why(false, sound!, shaky))
  })

  it("weighs an instance as Consul does for Envoy", () => {
    assert.strictEqual(weight([]), 3)
    assert.strictEqual(weight(status("passing", "passing")), 3)
    assert.strictEqual(weight(status("passing", "warning")), 2)
    assert.strictEqual(weight(status("passing", "warning"), { Passing: 3, Warning: 0 }), 0)
    assert.strictEqual(weight(status("passing", "warning"), { Passing: 3, Warning: 2 }, true), 0)
    assert.strictEqual(weight(status("warning", "critical")), 0)
    assert.strictEqual(weight(status("maintenance")), 0)
    assert.strictEqual(weight(status("passing"), { Passing: 65535, Warning: 1 }), 128)
  })
})

describe("ProxyRegistration", () => {
  const service = decode(AgentService.AgentService)
  const answer = service(recorded("registration", "/v1/agent/service/web-1-sidecar-proxy"))
  const proxy = answer.Proxy!
  const withConfig = (Config: Record<string, Schema.Json>) =>
    Result.getOrThrow(ProxyRegistration.toRegistration({ ...answer, Proxy: { ...proxy, Config } }))

  it("reads the registration of a real agent", () => {
    assert.deepStrictEqual(Result.getOrThrow(ProxyRegistration.toRegistration(answer)), {
      proxyId: "web-1-sidecar-proxy",
      service: "web",
      listen: { host: "0.0.0.0", port: 20000 },
      application: { host: "127.0.0.1", port: 9090 },
      applicationConnectTimeoutMillis: 5000,
      handshakeTimeoutMillis: 10000,
      maxInboundConnections: 0,
      arrivals: ConnectionSettings.noLimits,
      connections: ConnectionSettings.defaults,
      reauthorizeMillis: 60_000,
      protocol: "http",
      requests: { timeoutMillis: 15_000, idleTimeoutMillis: 300_000 },
      exposed: [],
      accessLogs: undefined,
      upstreams: [{
        id: "db",
        service: "db",
        datacenter: undefined,
        bind: { host: "127.0.0.1", port: 9191 },
        connectTimeoutMillis: 1000,
        protocol: undefined,
        limits: { maxConnections: undefined, maxPendingRequests: undefined, maxConcurrentRequests: undefined },
        passiveHealthCheck: {},
        connections: ConnectionSettings.defaults
      }],
      ignored: []
    })
  })

  it("reads settings that arrive as texts, and falls back on what makes no sense", () => {
    const registration = withConfig({ local_connect_timeout_ms: "250", handshake_timeout_ms: 0, bind_port: "oops" })
    assert.strictEqual(registration.applicationConnectTimeoutMillis, 250)
    assert.strictEqual(registration.handshakeTimeoutMillis, 10_000)
    assert.strictEqual(registration.listen?.port, 21000)
  })

  it("reads how connections are kept", () => {
    const registration = withConfig({
      max_inbound_handshakes: 10,
      max_inbound_connections_per_second: "100",
      connection_idle_timeout_ms: 1000,
      connection_max_lifetime_ms: 60_000,
      tcp_keepalive_ms: 0,
      tcp_no_delay: "false",
      reauthorize_interval_ms: 5000
    })
    assert.deepStrictEqual(registration.arrivals, { maxHandshakes: 10, connectionRate: 100 })
    assert.deepStrictEqual(registration.connections, {
      idleTimeoutMillis: 1000,
      maxLifetimeMillis: 60_000,
      tcp: { keepAliveMillis: 0, noDelay: false }
    })
    assert.strictEqual(registration.reauthorizeMillis, 5000)
    assert.deepStrictEqual(registration.ignored, [])
    assert.deepStrictEqual(withConfig({ tcp_no_delay: "perhaps" }).ignored, [
      "the setting tcp_no_delay of the proxy, where \"perhaps\" is not true or false"
    ])
  })

  it("keeps to timeouts that a timer can wait for, and takes a negative limit for none", () => {
    const day = 86_400_000
    const registration = withConfig({
      local_connect_timeout_ms: 30 * day,
      handshake_timeout_ms: `${40 * day}`,
      max_inbound_connections: -1
    })
    assert.strictEqual(registration.applicationConnectTimeoutMillis, 2 ** 31 - 1)
    assert.strictEqual(registration.handshakeTimeoutMillis, 2 ** 31 - 1)
    assert.strictEqual(registration.maxInboundConnections, 0)
    const [upstream] = proxy.Upstreams
    const { upstreams } = Result.getOrThrow(ProxyRegistration.toRegistration({
      ...answer,
      Proxy: { ...proxy, Upstreams: [{ ...upstream!, Config: { connect_timeout_ms: 30 * day } }] }
    }))
    assert.strictEqual(upstreams[0]?.connectTimeoutMillis, 2 ** 31 - 1)
  })

  it("refuses what is no port, and leaves out an upstream that names one", () => {
    for (const port of [65_536, -1, 80.5]) {
      const said = new RegExp(`${port}.*a whole number up to 65535`)
      const withProxy = (changed: Partial<typeof proxy>, Port = answer.Port) =>
        ProxyRegistration.toRegistration({ ...answer, Port, Proxy: { ...proxy, ...changed } })
      assert.match(failureOf(withProxy({ Config: { bind_port: port } })), said)
      assert.match(failureOf(withProxy({ Config: {} }, port)), said)
      assert.match(failureOf(withProxy({ LocalServicePort: port })), said)
      const [upstream] = proxy.Upstreams
      const { ignored, upstreams } = Result.getOrThrow(
        withProxy({ Upstreams: [{ ...upstream!, LocalBindPort: port }, upstream!] })
      )
      assert.deepStrictEqual(upstreams.map(({ service }) => service), ["db"])
      assert.match(ignored[0]!, said)
    }
  })

  it("tells prepared queries from services of the same name", () => {
    const upstream = { ...proxy.Upstreams[0]!, DestinationName: "db" }
    const { ignored, upstreams } = Result.getOrThrow(
      ProxyRegistration.toRegistration({
        ...answer,
        Proxy: {
          ...proxy,
          Upstreams: [upstream, { ...upstream, DestinationType: "prepared_query", Datacenter: "dc2" }]
        }
      })
    )
    assert.deepStrictEqual(ignored, [])
    assert.deepStrictEqual(upstreams.map(({ id, query, service }) => [id, service, query === true]), [
      ["db", "db", false],
      ["db.query@dc2", "db", true]
    ])
  })

  it("says what it leaves out", () => {
    const upstream = proxy.Upstreams[0]!
    const { ignored, upstreams } = Result.getOrThrow(ProxyRegistration.toRegistration({
      ...answer,
      Proxy: {
        ...proxy,
        Mode: "transparent",
        Upstreams: [
          { ...upstream, LocalBindPort: 0 },
          { ...upstream, CentrallyConfigured: true },
          { ...upstream, LocalBindSocketPath: "/run/db.sock", LocalBindSocketMode: "0700" }
        ]
      }
    }))
    assert.deepStrictEqual(upstreams.map(({ bind }) => bind), [{ path: "/run/db.sock", mode: 0o700 }])
    assert.strictEqual(ignored.length, 2)
  })

  it("overrides the chain's mode of gateways by the upstream's, or else by that of the proxy", () => {
    const upstream = proxy.Upstreams[0]!
    const modes = (of: string, ...upstreams: ReadonlyArray<string>) =>
      Result.getOrThrow(ProxyRegistration.toRegistration({
        ...answer,
        Proxy: {
          ...proxy,
          MeshGateway: { Mode: of },
          Upstreams: upstreams.map((Mode, index) => ({
            ...upstream,
            DestinationName: `s${index}`,
            LocalBindPort: 9000 + index,
            MeshGateway: { Mode }
          }))
        }
      })).upstreams.map(({ gateway }) => gateway)
    assert.deepStrictEqual(modes("", "", "local"), [undefined, "local"])
    assert.deepStrictEqual(modes("remote", "", "local", "none"), ["remote", "local", "none"])
  })

  it("names the peer of an upstream, which is another one than its namesake", () => {
    const upstream = proxy.Upstreams[0]!
    const { upstreams } = Result.getOrThrow(ProxyRegistration.toRegistration({
      ...answer,
      Proxy: { ...proxy, Upstreams: [upstream, { ...upstream, DestinationPeer: "east", LocalBindPort: 9999 }] }
    }))
    assert.deepStrictEqual(upstreams.map(({ peer }) => peer), [undefined, "east"])
    assert.strictEqual(new Set(upstreams.map(({ id }) => id)).size, 2)
  })

  it("refuses what is not the proxy of a service, saying what it is", () => {
    const web = service(recorded("registration", "/v1/agent/service/web-1"))
    assert.strictEqual(
      failureOf(ProxyRegistration.toRegistration(web)),
      "web-1 is an application, not the proxy of a service"
    )
  })
})
