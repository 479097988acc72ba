/**
 * A terminating gateway of ours under a real Consul. CONSUL_BIN names the program, or, under `npm run test:consul`, it is `consul` on the
 * PATH. Without one this is skipped, and says so.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as agent from "../support/consul.ts"
import * as Gateways from "../support/gateways.ts"
import * as RealConsul from "../support/realConsul.ts"
import * as sockets from "../support/sockets.ts"

/** What is answered; nothing, if the connection is reset at once. */
const say = (port: number) =>
  Effect.scoped(Effect.gen(function*() {
    const socket = yield* sockets.connect(port)
    const heard = sockets.record(socket)
    socket.end("hello")
    yield* heard.ending
    return heard.text()
  })).pipe(Effect.orElseSucceed(() => ""))

const hears = (port: number, wanted: string) =>
  agent.eventually(
    Effect.filterOrFail(say(port), (said) => said === wanted, (said) => `it says ${said}`),
    30
  )

const why = RealConsul.binary === undefined ? " (skipped: no Consul; name the program in CONSUL_BIN)" : ""

describe.skipIf(RealConsul.binary === undefined)(`a terminating gateway under a real Consul${why}`, () => {
  it.live(
    "is the linked service to its callers, by its intentions, whatever the letter case of its name",
    () =>
      Effect.gen(function*() {
        const { address } = yield* RealConsul.withoutAcls
        const dc1 = yield* Gateways.datacenter(address, "dc1")
        const billing = yield* sockets.shouting
        yield* dc1.outside("Billing", billing.port)
        yield* dc1.link({ Name: "Billing" })
        const gateway = yield* dc1.terminating()
        const { ports: [port] } = yield* dc1.caller("web", [{ DestinationName: "Billing" }])
        const intention = (Action: "allow" | "deny") =>
          dc1.write({ Kind: "service-intentions", Name: "Billing", Sources: [{ Name: "web", Action }] })

        yield* hears(port!, "") // everybody is denied
        yield* intention("allow")
        yield* hears(port!, "HELLO")

        // An open connection hears of the next one as well.
        const open = yield* sockets.connect(port!)
        const heard = sockets.record(open)
        open.write("first")
        yield* heard.until("FIRST")
        yield* intention("deny")
        assert.notStrictEqual(yield* heard.ending, "open")
        yield* hears(port!, "")
        yield* intention("allow")
        yield* hears(port!, "HELLO")

        const web = yield* dc1.identity("web")
        const trustDomain = yield* dc1.trustDomain
        for (const service of ["billing", "Billing", "BILLING"]) {
          const name = `${service}.default.dc1.internal.${trustDomain}`
          const { answer, peer } = yield* Gateways.eventually(Gateways.call(gateway.port, web, name))
          assert.deepStrictEqual([answer, /[^/]*$/.exec(peer)?.[0]?.toLowerCase()], ["HELLO", "billing"])
        }
        yield* Effect.flip(Gateways.call(gateway.port, web, `web.default.dc1.internal.${trustDomain}`))

        yield* dc1.link()
        yield* hears(port!, "")
        yield* dc1.link({ Name: "Billing" })
        yield* hears(port!, "HELLO")
      }),
    120_000
  )
})
