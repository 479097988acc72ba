/** Which refusals make a line of the log. They are counted in any case. */
import { Context } from "effect"
import type * as LineLimit from "./LineLimit.ts"

/** The first of each kind, then one a minute with the number of those left out: a flood of refusals is no flood of lines. */
export const sampled: LineLimit.Options = {}

/** Each of them. */
export const all: LineLimit.Options = { intervalMilliseconds: 0, linesPerInterval: Infinity }

/** In force wherever nothing else is provided: `sampled`. */
export const RefusalLines = Context.Reference<LineLimit.Options>("effect-mesh/native/RefusalLines", {
  defaultValue: () => sampled
})
