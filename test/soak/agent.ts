/**
 * A development agent whose leaves live for half a minute, so that rotated roots are dropped within the run. Tells its address, and rotates
 * when told to: over its API that would take a configuration, whose leaves live for an hour at least.
 */
import { Effect, References } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"

const asked = Effect.callback<void>((resume) => {
  process.once("message", () => resume(Effect.void))
})

Effect.runFork(
  Effect.flatMap(
    DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny", leafTtl: "30 seconds" }),
    ({ address, rotateRoots }) => {
      process.send?.(address)
      return Effect.forever(Effect.andThen(asked, rotateRoots))
    }
  ).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))
)
process.on("disconnect", () => process.exit(0))
