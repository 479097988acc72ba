/** Sidecars of ours, with tunnels and without, Envoys and the proxy that is built into Consul, in one mesh: every one calls every other one. */
import { describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as EnvoyMesh from "../support/envoyMesh.ts"
import * as Cases from "../support/mixedCases.ts"
import * as MixedMesh from "../support/mixedMesh.ts"
import * as programs from "../support/programs.ts"
import * as RealConsul from "../support/realConsul.ts"

const kinds = ["ours", "apart", "envoy", "consul"] as const

const mesh = Effect.gen(function*() {
  const consul = yield* RealConsul.withoutAcls
  return yield* MixedMesh.make(consul.address, kinds, (kind, service) =>
    kind === "envoy"
      ? Effect.asVoid(EnvoyMesh.startEnvoy(consul, service))
      : programs.run(RealConsul.binary!, [
        ...["connect", "proxy", "-sidecar-for", service],
        ...["-http-addr", `http://${consul.address}`]
      ]))
})

describe("sidecars of four kinds", () => {
  layer(Layer.effect(Cases.Cast, mesh), { timeout: 120_000, excludeTestServices: true })((it) =>
    Cases.cases(it, MixedMesh.pairs(kinds))
  )
})
