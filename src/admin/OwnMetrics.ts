/** The metrics of this process, as text. */
import { Effect } from "effect"
import { PrometheusMetrics } from "effect/observability"
import * as OpenMetrics from "../observe/OpenMetrics.ts"

/** In the format of OpenMetrics, or the older one. */
export const format = (isOpen: boolean): Effect.Effect<string> =>
  Effect.map(
    Effect.context<never>(),
    (context) => isOpen ? OpenMetrics.format(context) : PrometheusMetrics.formatUnsafe(context)
  )
