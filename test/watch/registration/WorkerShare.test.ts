import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Proxy from "../../../src/consul/Proxy.ts"
import * as ProxyRegistration from "../../../src/watch/ProxyRegistration.ts"
import * as WorkerShare from "../../../src/watch/registration/WorkerShare.ts"

const limit = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 }))
const of = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 64 }))

const registration = (limit: number) =>
  ProxyRegistration.fromProxy(
    "api-sidecar-proxy",
    { host: "0.0.0.0", port: 1 },
    Schema.decodeSync(Proxy.Proxy)({
      DestinationServiceName: "api",
      Config: {
        max_inbound_connections: limit,
        max_inbound_handshakes: limit,
        max_inbound_connections_per_second: limit
      },
      Upstreams: [
        {
          DestinationName: "db",
          LocalBindPort: 1,
          Config: { limits: { max_connections: limit, max_pending_requests: limit, max_concurrent_requests: limit } }
        },
        { DestinationName: "cache", LocalBindPort: 2 }
      ]
    })
  )

const limits = (registration: ProxyRegistration.Registration) => {
  const [db] = registration.upstreams
  return [
    registration.maxInboundConnections,
    registration.arrivals.maxHandshakes,
    registration.arrivals.connectionRate,
    db!.limits.maxConnections!,
    db!.limits.maxPendingRequests!,
    db!.limits.maxConcurrentRequests!
  ]
}

describe("WorkerShare", () => {
  it.prop("adds up to what is registered, but for one at least for each", { limit, of }, ({ limit, of }) => {
    const parts = Array.from(
      { length: of },
      (_, i) => limits(WorkerShare.ofSidecar(registration(limit), { index: i + 1, of }))
    )
    const sums = parts.reduce((sums, part) => sums.map((sum, i) => sum + part[i]!))
    assert.deepStrictEqual(sums, limits(registration(limit)).map((all) => all === 0 ? 0 : Math.max(all, of)))
    for (const part of parts.flat()) assert.isAtMost(part - Math.floor(limit / of), 1)
  })

  it("leaves all else as it is", () => {
    const whole = registration(10)
    assert.deepStrictEqual(WorkerShare.ofSidecar(whole, { index: 1, of: 1 }), whole)
    const part = WorkerShare.ofSidecar(whole, { index: 2, of: 3 })
    assert.deepStrictEqual(part.upstreams[1], whole.upstreams[1])
    assert.deepStrictEqual(limits(part), [3, 3, 3, 3, 3, 3])
  })
})
