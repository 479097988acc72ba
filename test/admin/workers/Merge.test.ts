import { assert, describe, it } from "@effect/vitest"
import type * as Documents from "../../../src/admin/Documents.ts"
import * as Merge from "../../../src/admin/workers/Merge.ts"

const head = { name: "api", proxy: "api-sidecar-proxy", service: "api" }

const certificate = (secondsLeft: number): Documents.Certificate => ({
  subject: "",
  serial: String(secondsLeft),
  notBefore: "",
  notAfter: "",
  secondsLeft,
  key: "EC P-256"
})

const requests = (total: number): Documents.Requests => ({
  total,
  failed: 1,
  codes: { 200: total - 1, 503: 1 },
  durations: [[0.1, total - 1], [1, total]]
})

const traffic = (count: number) => ({ open: count, accepted: 2 * count, sent: 3 * count, received: 4 * count })

const refusal = (source: string, refusals: number) => ({
  source,
  destination: "api",
  rule: "default policy",
  refusals,
  audited: 0
})

const upstream = { listener: "upstream db", address: "127.0.0.1:1", state: "Listening", message: null } as const

const watch = (subject: string, current: boolean, answeredAt: string): Documents.Watch => ({
  what: "the leaf",
  watch: "leaf",
  subject,
  current,
  answeredAt,
  secondsSinceAnswer: 1,
  failures: current ? 0 : 3,
  lastError: null
})

const summary = (count: number): Documents.Summary => ({
  ...head,
  identity: "spiffe://a.consul/api",
  protocol: "http",
  application: "127.0.0.1:8080",
  listen: "0.0.0.0:21000",
  phase: "serving",
  audited: false,
  leaf: certificate(100 * count),
  root: certificate(1000),
  inbound: { ...traffic(count), cut: count, failed: 0, refused: { denied: count } },
  callers: [
    { service: "web", ...traffic(count), requests: requests(10), refusals: [refusal("web", count)] },
    { service: `only of ${count}`, ...traffic(1), requests: null, refusals: [] }
  ],
  upstreams: [{
    ...upstream,
    service: "db",
    protocol: "tcp",
    ...traffic(count),
    failed: count,
    requests: null,
    instances: { total: 3, healthy: 3, ejected: count - 1 }
  }]
})

const snapshot = (count: number): Documents.Snapshot => ({
  at: count,
  version: "1.2.3",
  agent: "http://127.0.0.1:8500",
  uptimeSeconds: count,
  logLevel: "info",
  sidecars: [{ name: "api", ready: true, problems: [] }],
  sidecar: summary(count),
  watches: [watch("api", count === 1, `2026-01-0${count}T00:00:00.000Z`)]
})

const ofProgram = { at: 5, uptimeSeconds: 9, sidecars: [{ name: "api", ready: true, problems: [] }] }

describe("what several workers say", () => {
  it("adds up what is counted, and has the worst of what is not", () => {
    const { sidecar, watches } = Merge.snapshot([snapshot(1), snapshot(2)], ofProgram)
    assert.deepStrictEqual(sidecar, {
      ...summary(1),
      leaf: certificate(100),
      inbound: { ...traffic(3), cut: 3, failed: 0, refused: { denied: 3 } },
      callers: [
        {
          service: "web",
          ...traffic(3),
          requests: { total: 20, failed: 2, codes: { 200: 18, 503: 2 }, durations: [[0.1, 18], [1, 20]] },
          refusals: [refusal("web", 3)]
        },
        { service: "only of 1", ...traffic(1), requests: null, refusals: [] },
        { service: "only of 2", ...traffic(1), requests: null, refusals: [] }
      ],
      upstreams: [{
        ...upstream,
        service: "db",
        protocol: "tcp",
        ...traffic(3),
        failed: 3,
        requests: null,
        instances: { total: 3, healthy: 3, ejected: 1 }
      }]
    })
    assert.deepStrictEqual(watches.map(({ current }) => current), [false])
  })

  it("is what it was, of one of them", () => {
    assert.deepStrictEqual(Merge.snapshot([snapshot(1)], ofProgram), { ...snapshot(1), ...ofProgram })
  })

  it("leaves with the first that leaves", () => {
    const leaving: Documents.Snapshot = { ...snapshot(2), sidecar: { ...summary(2), phase: "leaving" } }
    assert.strictEqual(Merge.snapshot([snapshot(1), leaving], ofProgram).sidecar?.phase, "leaving")
  })

  it("is about the sidecar that the first of them has, where they start at different times", () => {
    const other: Documents.Snapshot = { ...snapshot(2), sidecar: { ...summary(2), name: "other" } }
    const { sidecar } = Merge.snapshot([{ ...snapshot(1), sidecar: null }, snapshot(1), other], ofProgram)
    assert.strictEqual(sidecar?.inbound.open, 1)
  })

  it("is ready when each of them is, and names the one that is not", () => {
    const ready = (problems: ReadonlyArray<string>): Documents.Readiness => ({
      ready: problems.length === 0,
      sidecars: [{ name: "api", ready: problems.length === 0, problems }]
    })
    assert.isTrue(Merge.readiness([{ worker: 1, said: ready([]) }, { worker: 2, said: ready([]) }]).ready)
    assert.deepStrictEqual(
      Merge.readiness([{ worker: 1, said: ready([]) }, { worker: 2, said: ready(["it leaves"]) }]),
      {
        ready: false,
        sidecars: [{ name: "api", ready: false, problems: ["worker 2: it leaves"] }]
      }
    )
    assert.deepStrictEqual(Merge.readiness([{ worker: 1, said: "no answer" }, { worker: 2, said: ready([]) }]), {
      ready: false,
      sidecars: [
        { name: "worker 1", ready: false, problems: ["no answer"] },
        { name: "api", ready: true, problems: [] }
      ]
    })
    assert.isFalse(Merge.readiness([]).ready)
  })

  it("lists as many connections as are asked for, and counts all", () => {
    const one = (remote: string): typeof Documents.Connections.Type["sidecars"][number]["connections"][number] => ({
      direction: "inbound",
      listener: "public",
      remote,
      peer: null,
      to: null,
      because: null,
      openedAt: "",
      seconds: 1,
      sent: 0,
      received: 0
    })
    const of = (open: number, ...remotes: ReadonlyArray<string>) => ({
      sidecars: [{ ...head, open, connections: remotes.map(one) }]
    })
    assert.deepStrictEqual(Merge.connections([of(2, "a", "b"), of(3, "c", "d", "e")], 4), of(5, "a", "b", "c", "d"))
  })

  it("counts the calls that instances are busy with, and has those ejected that one worker leaves out", () => {
    const of = (active: number, ejected: boolean, state: "Listening" | "Failed") => ({
      sidecars: [{
        ...head,
        upstreams: [{
          ...upstream,
          state,
          message: state === "Failed" ? "the address is in use" : null,
          service: "db",
          protocol: "tcp",
          ...traffic(active),
          failed: 0,
          targets: [{
            id: "db.default",
            service: "db",
            datacenter: "dc1",
            filter: "",
            instances: [{
              id: "db-1",
              address: "127.0.0.1:2",
              service: "db",
              healthy: true,
              unhealthy: null,
              weight: 1,
              ejected,
              active
            }]
          }]
        }]
      }]
    })
    assert.deepStrictEqual(
      Merge.upstreams([of(1, false, "Listening"), of(2, true, "Failed")]),
      of(3, true, "Failed")
    )
  })

  it("has an edge of the graph once, with what all of them saw of it", () => {
    const graph = (count: number): Documents.Graph => ({
      at: 1,
      version: "1.2.3",
      agent: "a",
      changeable: false,
      services: [
        { name: "api", sidecar: "api", ready: count < 2, protocol: "http", open: count, cut: count },
        { name: "web", sidecar: null, ready: null, protocol: null, open: 0, cut: 0 }
      ],
      edges: [{
        source: "web",
        destination: "api",
        verdict: "allow",
        because: "intention",
        rule: null,
        upstream: false,
        ...traffic(count),
        requests: requests(10),
        refusals: []
      }]
    })
    const merged = Merge.graph([graph(1), graph(2)])
    assert.deepStrictEqual(merged.services, [
      { name: "api", sidecar: "api", ready: false, protocol: "http", open: 3, cut: 3 },
      { name: "web", sidecar: null, ready: null, protocol: null, open: 0, cut: 0 }
    ])
    assert.deepStrictEqual(merged.edges.map(({ open, requests }) => [open, requests?.total]), [[3, 20]])
    assert.deepStrictEqual(Merge.graph([graph(1)]), graph(1))
  })

  it("has not renewed what one of them has not", () => {
    const of = (renewed: boolean) => ({
      sidecars: [{ ...head, before: "1", after: "2", renewed, notAfter: null, why: renewed ? null : "no" }]
    })
    assert.deepStrictEqual(Merge.renewal([of(true), of(false)]), of(false))
    assert.deepStrictEqual(Merge.renewal([of(true), of(true)]), of(true))
  })
})
