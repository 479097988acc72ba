import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, References } from "effect"
import * as LogThreshold from "../../src/observe/LogThreshold.ts"

const logging = <A, E>(use: (lines: ReadonlyArray<string>) => Effect.Effect<A, E, LogThreshold.LogThreshold>) => {
  const lines: Array<string> = []
  const logger = Logger.make<unknown, void>(({ logLevel, message }) =>
    void lines.push(`${logLevel} ${String(message)}`)
  )
  return use(lines).pipe(Effect.provide(
    LogThreshold.layer([logger]).pipe(Layer.provide(Layer.succeed(References.MinimumLogLevel, "Warn")))
  ))
}

describe("LogThreshold", () => {
  it.effect("begins with the level that is in force", () =>
    logging((lines) =>
      Effect.gen(function*() {
        yield* Effect.logInfo("left out")
        yield* Effect.logWarning("written")
        assert.deepStrictEqual(lines, ["Warn written"])
        assert.strictEqual((yield* LogThreshold.LogThreshold).level(), "Warn")
      })
    ))

  it.effect("changes for fibers that run already", () =>
    logging((lines) =>
      Effect.gen(function*() {
        const threshold = yield* LogThreshold.LogThreshold
        yield* Effect.forkChild(
          Effect.andThen(
            Effect.logDebug("left out"),
            Effect.andThen(Effect.yieldNow, Effect.logDebug("written"))
          ),
          { startImmediately: true }
        )
        threshold.set("Debug")
        yield* Effect.yieldNow
        threshold.set("None")
        yield* Effect.logFatal("left out")
        assert.deepStrictEqual(lines, ["Debug written"])
      })
    ))
})
