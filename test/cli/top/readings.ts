/** Readings of an admin interface, as tests want them. */
import type * as Reading from "../../../src/cli/top/Reading.ts"
import * as Series from "../../../src/cli/top/Series.ts"

const id = (service: string) => `spiffe://${"0".repeat(8)}.consul/ns/default/dc/dc1/svc/${service}`

const head = { name: "api", proxy: "api-sidecar-proxy", service: "api" }

const certificate = (secondsLeft: number) => ({
  subject: "",
  serial: "01",
  notBefore: "2026-11-27T00:00:00.000Z",
  notAfter: "2026-11-30T00:00:00.000Z",
  secondsLeft,
  key: "EC P-256"
})

export interface Given {
  readonly at?: number
  readonly pid?: number
  readonly requests?: Readonly<Record<string, number>>
  /** In seconds, cumulative: `0.01`, `0.1`, `+Inf`. */
  readonly durations?: Readonly<Record<string, number>>
  /** Of open connections of db, the caller over TCP: bytes sent, by when they were opened. */
  readonly connections?: Readonly<Record<string, number>>
  readonly refusals?: number
  readonly accepted?: number
  readonly failed?: number
  readonly instances?: ReadonlyArray<{ readonly healthy: boolean; readonly ejected?: boolean }>
  readonly problems?: ReadonlyArray<string>
  readonly leafSeconds?: number
  readonly state?: "Listening" | "Failed"
  readonly stale?: number
  readonly absent?: ReadonlyArray<string>
}

/** The sidecar of `api`, which web calls by requests and db by connections, and which calls log. */
export const reading = (given: Given = {}): Reading.Reading => {
  const labels = "direction=\"inbound\",source=\"web\",destination=\"api\",service=\"api\""
  const problems = given.problems ?? []
  const entries = Object.entries(given.connections ?? {})
  return {
    at: given.at ?? 0,
    configuration: {
      version: "0.1.0",
      node: "v24.17.0",
      pid: given.pid ?? 7,
      startedAt: "1970-01-01T00:00:00.000Z",
      agent: "http://127.0.0.1:8500",
      settings: [],
      sidecars: []
    },
    readiness: {
      ready: problems.length === 0,
      sidecars: [
        { name: "api", ready: problems.length === 0, problems },
        ...(given.absent ?? []).map((name) => ({ name, ready: false, problems: ["it starts"] }))
      ]
    },
    certificates: {
      sidecars: [{
        ...head,
        identity: id("api"),
        trustDomain: "t",
        leaf: certificate(given.leafSeconds ?? 200_000),
        roots: [{ id: "r", name: "root", active: true, certificate: certificate(90 * 86_400) }]
      }]
    },
    intentions: {
      sidecars: [{
        ...head,
        protocol: "http",
        byRequest: true,
        defaultPolicy: "deny",
        audited: false,
        intentions: [],
        warnings: [],
        refusals: given.refusals === undefined ? [] : [{
          source: "ops",
          destination: "api",
          rule: "* → api (precedence 8)",
          refusals: given.refusals,
          audited: 0
        }]
      }]
    },
    upstreams: {
      sidecars: [{
        ...head,
        upstreams: [{
          listener: "upstream log",
          address: "127.0.0.1:9191",
          state: given.state ?? "Listening",
          message: given.state === "Failed" ? "the address is in use" : null,
          service: "log",
          protocol: "tcp",
          open: 2,
          accepted: given.accepted ?? 0,
          failed: given.failed ?? 0,
          sent: 0,
          received: 0,
          targets: [{
            id: "log",
            service: "log",
            datacenter: "dc1",
            filter: "",
            instances: (given.instances ?? [{ healthy: true }]).map(({ ejected = false, healthy }, i) => ({
              id: `n/${i}`,
              address: "10.0.0.1:1",
              service: "log",
              healthy,
              unhealthy: null,
              weight: 1,
              ejected,
              active: 0
            }))
          }]
        }]
      }]
    },
    connections: {
      sidecars: [{
        ...head,
        open: entries.length,
        connections: entries.map(([openedAt, sent]) => ({
          direction: "inbound",
          listener: "public",
          remote: "10.0.0.9:1",
          peer: id("db"),
          to: null,
          because: "allowed",
          openedAt,
          seconds: 1,
          sent,
          received: 2 * sent
        }))
      }]
    },
    watches: {
      watches: Array.from({ length: 9 }, (_, i) => ({
        what: "the leaf certificate",
        watch: "leaf",
        subject: `s${i}`,
        current: i >= (given.stale ?? 0),
        answeredAt: null,
        secondsSinceAnswer: 65,
        failures: 0,
        lastError: "the agent cannot be reached"
      }))
    },
    metrics: Series.parse([
      ...Object.entries(given.requests ?? {}).map(([code, count]) =>
        `mesh_http_requests_total{${labels},code="${code}"} ${count}`
      ),
      ...Object.entries(given.durations ?? {}).map(([le, count]) =>
        `mesh_http_request_duration_seconds_bucket{${labels},le="${le}"} ${count}`
      )
    ].join("\n"))
  }
}
