/** Sidecars with tunnels and without, as older versions of ours are, in one mesh: every one calls every other one. */
import { describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as Cases from "../support/mixedCases.ts"
import * as MixedMesh from "../support/mixedMesh.ts"

const kinds = ["ours", "apart"] as const

const mesh = Effect.gen(function*() {
  const { address } = yield* DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny" })
  return yield* MixedMesh.make(address, kinds)
})

describe("sidecars with tunnels and without", () => {
  layer(Layer.effect(Cases.Cast, mesh), { timeout: 60_000, excludeTestServices: true })((it) =>
    Cases.cases(it, MixedMesh.pairs(kinds))
  )
})
