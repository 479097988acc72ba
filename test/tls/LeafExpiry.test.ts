import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream, SubscriptionRef } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import * as LeafExpiry from "../../src/tls/LeafExpiry.ts"
import * as Certificates from "../support/certificates.ts"

const hour = 3_600_000

/** A leaf valid from `from` to `to`, in hours on the test clock. */
const leaf = Effect.fnUntraced(function*(from: number, to: number) {
  const ca = yield* Effect.promise(() => Certificates.root("ca"))
  const made = yield* Effect.promise(() => Certificates.leafOf(ca, "web"))
  return {
    ...made,
    certificate: { ...made.certificate, notBefore: new Date(from * hour), notAfter: new Date(to * hour) }
  }
})

const said = Effect.map(TestConsole.logLines, (lines) => lines.map(String))

describe("LeafExpiry", () => {
  it.effect("warns before the end of a leaf that is not renewed, and at the end", () =>
    Effect.gen(function*() {
      yield* Effect.forkScoped(LeafExpiry.warn(Stream.concat(Stream.succeed(yield* leaf(0, 100)), Stream.never)))
      yield* TestClock.adjust("94 hours")
      assert.strictEqual((yield* said).length, 0)
      yield* TestClock.adjust("2 hours")
      assert.include((yield* said).join("\n"), "has not been renewed")
      yield* TestClock.adjust("5 hours")
      assert.include((yield* said).join("\n"), "has expired")
    }).pipe(Effect.provide(TestConsole.layer)))

  it.effect("is silent while leaves are renewed in time", () =>
    Effect.gen(function*() {
      const ref = yield* SubscriptionRef.make(yield* leaf(0, 10))
      yield* Effect.forkScoped(LeafExpiry.warn(SubscriptionRef.changes(ref)))
      for (let start = 8; start < 80; start += 8) {
        yield* TestClock.adjust("8 hours")
        yield* SubscriptionRef.set(ref, yield* leaf(start, start + 10))
      }
      assert.deepStrictEqual(yield* said, [])
    }).pipe(Effect.provide(TestConsole.layer)))
})
