import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { vi } from "vitest"
import * as GarbageCollection from "../../src/sidecar/GarbageCollection.ts"
import * as Comparison from "./comparison.ts"
import * as Flags from "./flags.ts"
import * as Pair from "./relay/Pair.ts"
import * as Relay from "./relay.ts"

const set = vi.hoisted(() => vi.fn<(flags: string) => void>())
vi.mock("node:v8", () => ({ setFlagsFromString: set }))

describe("npm run bench -- relay", () => {
  it.effect("compares the sidecar with plain Node under the flag that the sidecar sets", () =>
    Effect.gen(function*() {
      GarbageCollection.tuneForRelaying()
      assert.deepStrictEqual(set.mock.calls.flat(), Pair.collectorFlags)
    }))

  it("puts every load through our sidecars, with tunnels and without, and through plain Node", async () => {
    const { missing, rows } = await Relay.run(Relay.short)
    assert.deepStrictEqual(missing, [])
    for (const { samples, what } of rows.filter(({ more }) => more)) {
      for (const name of Relay.short.competitors) assert.isAbove(samples[name]![0]!, 0, `${what}: ${name}`)
    }
    assert.lengthOf(rows.filter(({ what }) => what.startsWith("memory")), 3)
  }, 180_000)

  const rows = [
    {
      what: "bulk",
      unit: "/s",
      more: true,
      samples: { sidecars: [100, 120, 90], haproxy: [125, 100, 100], envoy: [80, 90, 70] }
    },
    { what: "latency", unit: " µs", more: false, samples: { sidecars: [50], haproxy: [100], envoy: [40] } }
  ]

  it("divides round by round, also by the best of the others, and says who is not found", () => {
    const text = Relay.format({ rows, missing: ["consul"] })
    assert.match(text, /^bulk +100\/s +100\/s +80\.0\/s +not found$/m)
    assert.match(text, /^bulk +0\.90 \(0\.80 to 1\.20\) haproxy +0\.90 \(0\.80 to 1\.20\) +1\.29 \(1\.25 to 1\.33\)$/m)
    assert.match(text, /^latency +1\.25 envoy +0\.50 +1\.25$/m)
    assert.include(text, `Ours and node run with ${Pair.collectorFlags.join(" ") || "V8's defaults"}.`)
  })

  it("keeps every sample for programs", () => {
    const [bulk] = Comparison.data(rows, "sidecars", ["haproxy", "consul"])
    assert.deepStrictEqual(bulk, {
      what: "bulk",
      unit: "/s",
      moreIsBetter: true,
      samples: rows[0]!.samples,
      medians: { sidecars: 100, haproxy: 100, envoy: 80 },
      ratios: { haproxy: { median: 0.9, least: 0.8, most: 1.2 } },
      best: "haproxy"
    })
  })

  it("can be run in pieces", () => {
    const flags = Flags.parse(["relay", "--load", "bulk", "--load", "32 kept", "--rounds", "7", "--json", "file"])
    assert.deepStrictEqual([flags.names, flags.rounds, flags.json], [["relay"], 7, "file"])
    const loads = ["small requests, 32 kept connections", "small requests, 256 kept connections", "bulk"]
    assert.deepStrictEqual(
      Flags.chosen(loads.map((what) => ({ what })), flags).map(({ what }) => what),
      ["small requests, 32 kept connections", "bulk"]
    )
    assert.throws(() => Flags.parse(["relay", "--rounds", "no"]), /--rounds no/)
  })
})
