import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as DiscoveryChain from "../../src/consul/DiscoveryChain.ts"
import * as Parity from "../support/parity.ts"

const encode = Schema.encodeSync(Schema.toCodecGoJson(DiscoveryChain.Chain))

describe("the development agent compiles the chains of a real one", () => {
  for (const { chains, config, scenario } of Parity.chains) {
    it(scenario, () => {
      for (const recorded of chains) {
        const compiled = Parity.normalized(encode(Parity.compile(String(recorded["ServiceName"]), config)))
        // Addresses of transparent proxies are not given here.
        assert.deepStrictEqual(compiled, { ...recorded, AutoVirtualIPs: [] })
      }
    })
  }
})
