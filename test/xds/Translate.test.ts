import { assert, describe, it } from "@effect/vitest"
import type * as Endpoints from "../../src/watch/Endpoints.ts"
import * as Resources from "../../src/xds/Resources.ts"
import type * as Snapshot from "../../src/xds/Snapshot.ts"
import * as Translate from "../../src/xds/Translate.ts"

const instance = (id: string, port: number, weight = 1): Endpoints.Endpoint => ({
  id,
  address: { host: "10.0.0.1", port },
  weight
})

const gateway = (services: ReadonlyArray<Snapshot.GatewayTarget>): Snapshot.MeshGateway => ({
  kind: "mesh-gateway",
  proxyId: "gateway",
  datacenter: "dc1",
  trustDomain: "mesh.consul",
  addresses: [{ name: "default", address: "0.0.0.0", port: 8443 }],
  connectTimeoutMillis: 5000,
  services,
  datacenters: [{ datacenter: "dc2", endpoints: [instance("far", 443)] }]
})

const target = (sni: string, ...endpoints: ReadonlyArray<Endpoints.Endpoint>): Snapshot.GatewayTarget => ({
  sni,
  connectTimeoutMillis: 1500,
  endpoints
})

describe("a mesh gateway", () => {
  const web = target("web.default.dc1.internal.mesh.consul", instance("web-1", 20_000), instance("web-2", 20_001, 0))

  it("passes on by the server name, and nothing that is not known", () => {
    const { listeners } = Translate.messages(gateway([web]))
    const [{ filter_chains: chains = [] } = {}] = listeners
    assert.deepStrictEqual(
      chains.map(({ filter_chain_match, filters = [] }) => [
        filter_chain_match?.server_names,
        filters.map(({ name }) => name),
        filters.at(-1)?.typed_config?.["cluster"]
      ]),
      [
        [["*.dc2.internal.mesh.consul"], ["envoy.filters.network.tcp_proxy"], "dc2.internal.mesh.consul"],
        [
          ["*.dc1.internal.mesh.consul"],
          ["envoy.filters.network.sni_cluster", "envoy.filters.network.tcp_proxy"],
          ""
        ]
      ]
    )
  })

  // Envoy has the name that a client asks for in lower case before it looks at anything.
  it("knows names with capitals in lower case", () => {
    const billing = target("Billing.default.DC1.internal.mesh.consul", instance("b", 1))
    const { assignments, clusters, listeners } = Translate.messages({ ...gateway([billing]), datacenter: "DC1" })
    const name = "billing.default.dc1.internal.mesh.consul"
    assert.include(clusters.map((cluster) => cluster.name), name)
    assert.include(assignments.map((assignment) => assignment.cluster_name), name)
    assert.deepStrictEqual(listeners[0]?.filter_chains?.at(-1)?.filter_chain_match?.server_names, [
      "*.dc1.internal.mesh.consul"
    ])
  })

  it("has no certificate, and opens no connection", () => {
    const text = JSON.stringify(Translate.messages(gateway([web])))
    assert.notInclude(text, "transport_socket")
  })

  it("knows instances with their health", () => {
    const { assignments } = Translate.messages(gateway([web]))
    assert.deepStrictEqual(
      assignments.find(({ cluster_name }) => cluster_name === web.sni)?.endpoints?.[0]?.lb_endpoints,
      [
        {
          endpoint: { address: { socket_address: { address: "10.0.0.1", port_value: 20_000 } } },
          health_status: "HEALTHY",
          load_balancing_weight: 1
        },
        {
          endpoint: { address: { socket_address: { address: "10.0.0.1", port_value: 20_001 } } },
          health_status: "UNHEALTHY",
          load_balancing_weight: 1
        }
      ]
    )
  })
})

describe("a translator", () => {
  it("makes anew only what has changed", () => {
    const translate = Translate.make()
    const services = [target("a.default.dc1.internal.mesh.consul"), target("b.default.dc1.internal.mesh.consul")]
    const before = translate(gateway(services))
    const after = translate(gateway([services[0]!, target("b.default.dc1.internal.mesh.consul", instance("b", 1))]))
    const changed = Resources.kinds.flatMap((kind) =>
      [...after[kind].values()].filter((resource) => before[kind].get(resource.name) !== resource).map(({ name }) =>
        `${kind} ${name}`
      )
    )
    assert.deepStrictEqual(changed, [
      "endpoint.ClusterLoadAssignment b.default.dc1.internal.mesh.consul",
      "endpoint.ClusterLoadAssignment dc2.internal.mesh.consul"
    ])
  })

  it("makes all anew that is named after what has changed", () => {
    const translate = Translate.make()
    const before = gateway([])
    translate(before)
    const other: Snapshot.MeshGateway = { ...before, datacenter: "dc3", trustDomain: "other.consul" }
    assert.deepStrictEqual(translate(other), Translate.make()(other))
  })

  it("gives equal things equal versions, whoever makes them", () => {
    const versions = (resources: Resources.Resources) =>
      Resources.kinds.flatMap((kind) => [...resources[kind].values()].map(({ name, version }) => [name, version]))
    const services = () => [target("a.default.dc1.internal.mesh.consul", instance("a", 1))]
    assert.deepStrictEqual(
      versions(Translate.make()(gateway(services()))),
      versions(Translate.make()(gateway(services())))
    )
  })
})
