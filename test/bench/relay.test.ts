import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { vi } from "vitest"
import * as GarbageCollection from "../../src/sidecar/GarbageCollection.ts"
import * as Pair from "./relay/Pair.ts"
import * as Relay from "./relay.ts"

const set = vi.hoisted(() => vi.fn<(flags: string) => void>())
vi.mock("node:v8", () => ({ setFlagsFromString: set }))

it.effect("compares the sidecar with plain Node under the flag that the sidecar sets", () =>
  Effect.gen(function*() {
    yield* GarbageCollection.tuneForRelaying
    assert.deepStrictEqual(set.mock.calls.flat(), Pair.collectorFlags)
  }))

it("divides by plain Node under that flag, and says so", () => {
  const table = Relay.format([
    { what: "bulk", unit: "/s", more: true, values: { sidecar: 100, node: 125, "node, V8's defaults": 50 } }
  ])
  assert.match(table, /0\.80/)
  assert.include(table, `sidecar and node run with ${Pair.collectorFlags.join(" ") || "V8's defaults"}.`)
})
