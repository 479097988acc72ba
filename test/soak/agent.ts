/** A development agent whose leaves live for half a minute, so that rotated roots are dropped within the run. Tells its address. */
import { Effect, References } from "effect"
import * as DevelopmentAgent from "../../src/agent/DevelopmentAgent.ts"

Effect.runFork(
  Effect.flatMap(
    DevelopmentAgent.make({ port: 0, defaultIntentionPolicy: "deny", leafTtl: "30 seconds" }),
    ({ address }) => {
      process.send?.(address)
      return Effect.never
    }
  ).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))
)
process.on("disconnect", () => process.exit(0))
