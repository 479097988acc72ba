/** Which refusals of a mesh are logged. */
import { Layer } from "effect"
import { Flag } from "effect/cli"
import * as RefusalLines from "../observe/RefusalLines.ts"

export const flags = {
  logRefusals: Flag.Literals("log-refusals", ["sampled", "all"]).pipe(
    Flag.withDescription(
      "Refusals to log, inbound and outbound; sampled: the first of each kind, then one a minute with the number left out"
    ),
    Flag.withDefault("sampled" as const)
  )
}

export const layer = ({ logRefusals }: { readonly logRefusals: "sampled" | "all" }): Layer.Layer<never> =>
  Layer.succeed(RefusalLines.RefusalLines, RefusalLines[logRefusals])
