/** Which refusals are logged. All of them are counted. */
import { Context } from "effect"
import type * as LineLimit from "./LineLimit.ts"

/** The first of each kind, then one a minute with the number of omitted ones: a flood of refusals does not flood the log. */
export const sampled: LineLimit.Options = {}

/** Each of them. */
export const all: LineLimit.Options = { intervalMilliseconds: 0, linesPerInterval: Infinity }

/** Default: `sampled`. */
export const RefusalLines = Context.Reference<LineLimit.Options>("effect-mesh/native/RefusalLines", {
  defaultValue: () => sampled
})
