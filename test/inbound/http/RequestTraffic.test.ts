/** What is counted of requests, without any of HTTP. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as HttpExchange from "../../../src/http/HttpExchange.ts"
import type { Connection } from "../../../src/inbound/Connection.ts"
import type * as RequestAdmission from "../../../src/inbound/http/RequestAdmission.ts"
import * as RequestRefusals from "../../../src/inbound/http/RequestRefusals.ts"
import * as RequestTraffic from "../../../src/inbound/http/RequestTraffic.ts"
import * as Decision from "../../../src/intention/Decision.ts"
import * as Doubles from "../../support/doubles.ts"
import * as scrape from "../../support/scrape.ts"

const { connection: web } = Doubles.connection("web", "10.0.0.1:4711")

/** An upgrade whose answer had this status; undefined: it had none. */
const exchange = (status?: number) => {
  const made = new HttpExchange.Exchange<Connection, RequestAdmission.Concluded>(web, undefined)
  made.upgrade = status
  return made
}

describe("RequestTraffic", () => {
  it.effect("counts requests at hand, and answers by caller, service and code", () =>
    Effect.gen(function*() {
      const traffic = yield* RequestTraffic.make({ service: () => "api", fault: Doubles.untouchable("the log") })
      for (let turn = 0; turn < 4; turn++) traffic.started()
      traffic.closed(exchange(101))
      traffic.closed(exchange(101))
      traffic.closed(exchange())
      assert.deepStrictEqual(traffic.totals(), {
        handling: 1,
        requests: { "web api 101": 2, "web api reset": 1 },
        aborted: {}
      })
    }))

  it.effect("counts what the server ended, and says what a peer did, but not what policy did: that is said elsewhere", () =>
    Effect.gen(function*() {
      const faults: Array<ReadonlyArray<unknown>> = []
      const traffic = yield* RequestTraffic.make({ service: () => "api", fault: (...fault) => faults.push(fault) })
      traffic.denied()
      traffic.denied()
      traffic.abused(web, "flood")
      assert.deepStrictEqual(traffic.totals().aborted, { denied: 2, flood: 1 })
      assert.deepStrictEqual(faults, [[web, "ended a connection", "flood", "flood"]])
    }))
})

describe("RequestRefusals", () => {
  const refused = Decision.make(false, "no-permission")

  it.effect("counts requests that do not reach the application, by reason, and logs faults and denials", () =>
    Effect.gen(function*() {
      const denied: Array<ReadonlyArray<unknown>> = []
      const faults: Array<ReadonlyArray<unknown>> = []
      const record = RequestRefusals.make({
        service: () => "api",
        denied: (...denial) => denied.push(denial),
        fault: (...fault) => faults.push(fault)
      }, yield* Effect.context<never>())
      record(web, { _tag: "Denied", decision: refused, presented: new Map() })
      record(web, { _tag: "Denied", decision: refused, presented: new Map() })
      record(web, { _tag: "Denied", decision: Decision.make(false, "token-missing"), presented: new Map() })
      record(web, { _tag: "Malformed", why: "no path" })
      record(web, { _tag: "Redirected", path: "/a" })
      assert.deepStrictEqual(denied.map(([peer, decision]) => [peer, decision]).slice(0, 2), [
        [web, refused],
        [web, refused]
      ])
      assert.strictEqual(denied.length, 3)
      assert.deepStrictEqual(faults, [[web, "refused a request", "malformed", "no path"]])
      const samples = yield* scrape.samples
      const counted = Object.entries(samples).filter(([name]) => name.startsWith("mesh_http_refusals_total"))
      const edge = (reason: string) => `mesh_http_refusals_total{source="web",destination="api",reason="${reason}"}`
      assert.deepStrictEqual(Object.fromEntries(counted), {
        [edge("denied")]: 2,
        [edge("unauthenticated")]: 1,
        [edge("malformed")]: 1,
        [edge("redirected")]: 1
      })
    }).pipe(scrape.fresh))
})
