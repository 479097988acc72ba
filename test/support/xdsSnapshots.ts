/** What the configuration of one Envoy follows from. */
import * as Proxy from "../../src/consul/Proxy.ts"
import type * as Snapshot from "../../src/xds/Snapshot.ts"

/** Of `api`, which anybody may call. */
export const sidecar = (rest: Partial<Snapshot.Sidecar> = {}): Snapshot.Sidecar => ({
  kind: "connect-proxy",
  proxyId: "api-sidecar-proxy",
  service: "api",
  datacenter: "dc1",
  address: "10.0.0.1",
  port: 20_000,
  agentAddress: "127.0.0.1",
  proxy: Proxy.Proxy.make({ DestinationServiceName: "api", LocalServicePort: 8080 }),
  credentials: { trustDomain: "mesh.consul", certificate: "leaf", key: "key", roots: "roots" },
  intentions: [],
  defaultPolicy: "allow",
  jwtProviders: new Map(),
  mesh: undefined,
  peers: new Map(),
  upstreams: [],
  ...rest
})
