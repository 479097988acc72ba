/** `effect-mesh demo`: a mesh in a minute. */
import { Effect, Layer, References } from "effect"
import { Command, Flag } from "effect/cli"
import * as Log from "./Log.ts"

export const demo = Command.make(
  "demo",
  {
    ...Log.flags,
    once: Flag.Boolean("once").pipe(
      Flag.withDescription("End after the last step, as without a terminal, instead of leaving the mesh up"),
      Flag.withDefault(false)
    ),
    log: Flag.Boolean("log").pipe(
      Flag.withDescription("Show the log of applications and sidecars too"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function*({ log, logJson, once }) {
    // Loaded here, so that a sidecar does not carry the development agent around.
    const Walk = yield* Effect.promise(() => import("./demo/Walk.ts"))
    const level = Layer.succeed(References.MinimumLogLevel, log ? "Info" : "Error")
    return yield* Walk.walk({ stay: process.stdout.isTTY === true && !once }).pipe(
      Effect.provide(Layer.provide(Log.layer({ logJson }), level))
    )
  })
).pipe(
  Command.withDescription(
    "Show what a mesh is for, on this machine alone: three applications, a sidecar for each and an agent. Each step is " +
      "measured as it happens. Then the mesh stays up for you to try things, until Ctrl-C. Exit codes: 0 every step held, 1 one " +
      "did not."
  ),
  Command.withShortDescription("See a mesh at work in a minute"),
  Command.withExamples([{ command: "effect-mesh demo", description: "Needs nothing but this package" }])
)
