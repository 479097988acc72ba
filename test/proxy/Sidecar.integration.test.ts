import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Sidecars from "../support/sidecars.ts"
import * as Sockets from "../support/sockets.ts"

describe("Sidecar", () => {
  it.live("carries bytes between two applications, both ways", () =>
    Effect.gen(function*() {
      const application = yield* Sockets.shouting
      const mesh = yield* Sidecars.pair(application.port)
      const client = yield* Sockets.connect(mesh.port)
      const answer = Sockets.record(client)
      client.write("hello ")
      yield* answer.until("HELLO ")
      client.end("again")
      assert.strictEqual(yield* answer.ending, "ended")
      assert.strictEqual(answer.text(), "HELLO AGAIN")
    }))
})
