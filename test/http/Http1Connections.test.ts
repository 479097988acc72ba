import type { Socket } from "node:net"
import { duplexPair } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import * as Http1Connections from "../../src/http/Http1Connections.ts"
import * as HttpLimits from "../../src/http/HttpLimits.ts"

describe("Http1Connections", () => {
  it.live("takes no connection away from Node's parser while that is at work", () =>
    Effect.gen(function*() {
      const [ours, theirs] = duplexPair()
      const stack = yield* Deferred.make<string>()
      let requests = 0
      const { take } = yield* Http1Connections.make({
        limits: HttpLimits.complete({ maxPipelined: 2 }),
        handlers: () => ({ request: () => void requests++ }),
        started: () => {},
        closed: () => {},
        abused: () => {}
      })
      const reset = () => {
        Deferred.doneUnsafe(stack, Effect.succeed(new Error().stack!))
        ours.destroy()
      }
      take({ socket: ours as unknown as Socket, reset }, false)
      theirs.write("GET / HTTP/1.1\r\nhost: api\r\n\r\n".repeat(100))
      assert.notMatch(yield* Deferred.await(stack), /parser/i)
      assert.strictEqual(requests, 2)
    }))
})
