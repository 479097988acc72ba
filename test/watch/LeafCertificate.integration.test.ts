import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"
import * as ConsulClient from "../../src/consul/ConsulClient.ts"
import * as LeafCertificate from "../../src/watch/LeafCertificate.ts"
import { agentBehind } from "../support/agents.ts"
import { eventually } from "../support/sockets.ts"

describe("LeafCertificate", () => {
  it.live("takes over what it asks for, without waiting for news", () =>
    Effect.gen(function*() {
      const agent = yield* DevelopmentAgent.make({ port: 0 })
      // Nothing is news after such an index.
      const deaf = (path: string) => path.replace(/index=\d+/, "index=999999999")
      const front = yield* agentBehind(agent.port, deaf)
      const layer = LeafCertificate.layer({ service: "web" }).pipe(
        Layer.provide(ConsulClient.layer({ address: `http://${front.address}` }))
      )
      const leaf = Context.get(yield* Layer.build(layer), LeafCertificate.LeafCertificate)
      const { certificate: first } = yield* leaf.get
      yield* agent.rotateRoots
      assert.strictEqual(leaf.latest()!.certificate.serial, first.serial)
      const { certificate: second } = yield* leaf.ask!
      assert.notStrictEqual(second.serial, first.serial)
      yield* eventually(() => leaf.latest()!.certificate.serial === second.serial)
    }))
})
