/** What a sidecar makes of its registration, with the entries of recorded scenarios merged into it as the agent does. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { readFileSync } from "node:fs"
import * as MergeProxy from "../../../src/agent/MergeProxy.ts"
import * as EntrySet from "../../../src/agent/chain/EntrySet.ts"
import * as AgentService from "../../../src/consul/AgentService.ts"
import * as StoredEntry from "../../../src/consul/config/StoredEntry.ts"
import * as ProxyRegistration from "../../../src/watch/ProxyRegistration.ts"
import * as Parity from "../../support/parity.ts"

const service = Schema.decodeUnknownSync(Schema.toCodecGoJson(AgentService.AgentService))
const stored = Schema.decodeUnknownSync(StoredEntry.StoredEntry)

/** What `DestinationServiceName` gets in a recorded scenario, with one upstream to each of these. */
const inScenario = (area: string, scenario: string, name: string, ...upstreams: ReadonlyArray<string>) => {
  const found = Parity.scenarios(area).find((one) => one.name === scenario)
  assert.isDefined(found, `${area} has no ${scenario}`)
  const entries = new Map(
    [...Parity.entriesOf(found.config ?? []).values()].map((entry) => {
      const one = stored(entry)
      return [EntrySet.key(one.Kind, EntrySet.nameOf(one)), one] as const
    })
  )
  return Result.getOrThrow(ProxyRegistration.toRegistration(MergeProxy.merge(
    service({
      Kind: "connect-proxy",
      ID: `${name}-sidecar-proxy`,
      Service: `${name}-sidecar-proxy`,
      Port: 21000,
      Proxy: {
        DestinationServiceName: name,
        LocalServicePort: 9090,
        Upstreams: upstreams.map((DestinationName, index) => ({ DestinationName, LocalBindPort: 5000 + index }))
      }
    }),
    entries
  )))
}

const noLimits = { maxConnections: undefined, maxPendingRequests: undefined, maxConcurrentRequests: undefined }

describe("a registration with entries merged in", () => {
  it("has the limits of each upstream, zero among them", () => {
    const limits = (scenario: string, upstream: string) =>
      inScenario("defaults", scenario, "web", "api", upstream).upstreams.map(({ limits }) => limits)
    assert.deepStrictEqual(limits("limit of concurrent requests", "billing"), [
      noLimits,
      { ...noLimits, maxConcurrentRequests: 2 }
    ])
    assert.deepStrictEqual(limits("limit of connections and waiting requests", "billing"), [
      noLimits,
      { ...noLimits, maxConnections: 1, maxPendingRequests: 1 }
    ])
    assert.deepStrictEqual(limits("limit of waiting requests zero", "billing"), [
      noLimits,
      { ...noLimits, maxPendingRequests: 0 }
    ])
    assert.deepStrictEqual(limits("limits of a tcp upstream", "tcpsvc"), [noLimits, { ...noLimits, maxConnections: 1 }])
  })

  it("has the passive health checks of each upstream", () => {
    const health = (scenario: string) =>
      inScenario("defaults", scenario, "web", "pool").upstreams.map(({ passiveHealthCheck }) => passiveHealthCheck)
    assert.deepStrictEqual(health("ejection after failures"), [{
      intervalMillis: 1000,
      maxFailures: 3,
      enforcing: 100,
      maxEjectionPercent: 100,
      baseEjectionMillis: 60_000
    }])
    assert.deepStrictEqual(health("ejection ends").map(({ intervalMillis }) => intervalMillis), [500])
    assert.deepStrictEqual(health("ejection by default"), [{}])
    assert.deepStrictEqual(health("limit of concurrent requests"), [{ enforcing: 0 }])
  })

  it("has the protocol of the service, and of each upstream", () => {
    const { protocol, upstreams } = inScenario("defaults", "protocol tcp", "web", "h2svc", "grpcsvc", "admin", "tcpsvc")
    assert.strictEqual(protocol, "http")
    assert.deepStrictEqual(upstreams.map(({ protocol }) => protocol), ["http2", "grpc", "tcp", undefined])
    assert.strictEqual(inScenario("defaults", "protocol tcp", "admin").protocol, "tcp")
  })

  it("has the timeout of requests, the service's before the mesh's", () => {
    const timeout = (area: string, scenario: string, name: string) =>
      inScenario(area, scenario, name).requests.timeoutMillis
    assert.strictEqual(timeout("resilience", "local request timeout", "billing"), 400)
    assert.strictEqual(timeout("resilience", "local request timeout", "admin"), 15_000)
    assert.strictEqual(timeout("defaults", "request timeout from proxy-defaults", "billing"), 300)
    assert.strictEqual(timeout("defaults", "request timeout from proxy-defaults", "admin"), 2000)
  })

  it("has exposed paths, the limit of connections and the access log", () => {
    assert.deepStrictEqual(inScenario("defaults", "exposed path", "billing").exposed, [{
      path: "/health",
      listen: { host: "0.0.0.0", port: 24450 },
      application: { host: "127.0.0.1", port: 24016 },
      protocol: "http",
      onlyAgent: false
    }])
    assert.strictEqual(inScenario("defaults", "inbound connections", "billing").maxInboundConnections, 1)
    assert.deepStrictEqual(inScenario("accesslog", "text format", "billing").accessLogs?.to, { type: "stdout" })
  })

  it("leaves nothing out in any recorded scenario", () => {
    for (const area of ["defaults", "accesslog", "resilience", "normalisation"]) {
      for (const { name } of Parity.scenarios(area)) {
        assert.deepStrictEqual(inScenario(area, name, "web", "api", "billing", "tcpsvc").ignored, [], name)
        assert.deepStrictEqual(inScenario(area, name, "billing").ignored, [], name)
      }
    }
  })
})

describe("a registration that a real agent merged", () => {
  const answers = JSON.parse(
    readFileSync(new URL("../../fixtures/consul-1.21/merged-registrations.json", import.meta.url), "utf8")
  ) as ReadonlyArray<{ readonly answer: object }>
  const registration = (index: number) =>
    Result.getOrThrow(ProxyRegistration.toRegistration(
      service({ Kind: "connect-proxy", ID: "w", Service: "w", Port: 21000, Proxy: answers[index]!.answer })
    ))
  const byDefaults = {
    intervalMillis: 1500,
    maxFailures: 3,
    enforcing: 0,
    maxEjectionPercent: 100,
    baseEjectionMillis: 60_000
  }

  it("is read from the spelling of entries", () => {
    const { ignored, requests, upstreams } = registration(0)
    assert.deepStrictEqual(requests, { timeoutMillis: 2000, idleTimeoutMillis: 300_000 })
    assert.deepStrictEqual(
      upstreams.map(({ connectTimeoutMillis, limits, passiveHealthCheck, protocol, service }) => ({
        service,
        protocol,
        connectTimeoutMillis,
        limits,
        passiveHealthCheck
      })),
      [
        {
          service: "billing",
          protocol: "http2",
          connectTimeoutMillis: 700,
          limits: { ...noLimits, maxPendingRequests: 0, maxConcurrentRequests: 2 },
          passiveHealthCheck: byDefaults
        },
        {
          service: "api",
          protocol: "grpc",
          connectTimeoutMillis: 700,
          limits: { ...noLimits, maxConnections: 5 },
          passiveHealthCheck: byDefaults
        },
        {
          service: "other",
          protocol: "http",
          connectTimeoutMillis: 700,
          limits: { ...noLimits, maxConnections: 5 },
          passiveHealthCheck: byDefaults
        },
        { service: "q", protocol: undefined, connectTimeoutMillis: undefined, limits: noLimits, passiveHealthCheck: {} }
      ]
    )
    assert.deepStrictEqual(ignored, [
      "the setting envoy_listener_json of the upstream billing: it is configuration of Envoy itself",
      "the setting x of the upstream q"
    ])
  })

  it("is read from the spelling of registrations, numbers in texts included", () => {
    const { accessLogs, applicationConnectTimeoutMillis, exposed, ignored, requests, upstreams } = registration(1)
    assert.deepStrictEqual(requests, { timeoutMillis: 2000, idleTimeoutMillis: 5 })
    assert.strictEqual(applicationConnectTimeoutMillis, 60)
    assert.deepStrictEqual(upstreams.map(({ limits, passiveHealthCheck }) => ({ limits, passiveHealthCheck })), [
      { limits: { ...noLimits, maxConnections: 3 }, passiveHealthCheck: { intervalMillis: 2000 } },
      { limits: { ...noLimits, maxConnections: 5 }, passiveHealthCheck: byDefaults }
    ])
    assert.deepStrictEqual(accessLogs?.to, { type: "stderr" })
    assert.deepStrictEqual(exposed.map(({ path, protocol }) => [path, protocol]), [["/b", "http2"]])
    assert.deepStrictEqual(ignored.map((line) => line.split(":")[0]), [
      "the setting flag of the proxy",
      "the setting nested of the proxy",
      "exposed checks"
    ])
  })
})

describe("the timeouts of a registration", () => {
  const requests = (Config: Record<string, Schema.Json>) =>
    Result.getOrThrow(ProxyRegistration.toRegistration(
      service({ Kind: "connect-proxy", ID: "w", Service: "w", Port: 1, Proxy: { DestinationServiceName: "w", Config } })
    ))

  it("are Envoy's where nothing is said, and none where that is said", () => {
    assert.deepStrictEqual(requests({}).requests, { timeoutMillis: 15_000, idleTimeoutMillis: 300_000 })
    assert.deepStrictEqual(requests({ local_request_timeout_ms: 0, local_idle_timeout_ms: "0" }).requests, {
      timeoutMillis: undefined,
      idleTimeoutMillis: undefined
    })
  })

  it("are the default where they make no sense, which is said", () => {
    const { ignored, requests: { timeoutMillis } } = requests({ local_request_timeout_ms: -1 })
    assert.strictEqual(timeoutMillis, 15_000)
    assert.deepStrictEqual(ignored, [
      "the setting local_request_timeout_ms of the proxy, where -1 is not a number of milliseconds"
    ])
  })

  it.each([["HTTP", "http"], ["Http2", "http2"], ["GRPC", "grpc"], ["tcp", "tcp"], ["udp", "tcp"], ["", "tcp"]])(
    "stand beside a protocol: %j is %s",
    (protocol, expected) => assert.strictEqual(requests({ protocol }).protocol, expected)
  )
})
