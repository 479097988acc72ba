/** What the admin interface answers of the sidecars in its own process. */
import { Layer } from "effect"
import type * as AdminServer from "./AdminServer.ts"
import * as ControlHandlers from "./ControlHandlers.ts"
import * as OwnMetrics from "./OwnMetrics.ts"
import * as ReadHandlers from "./ReadHandlers.ts"

export const source = (options: ReadHandlers.Options): AdminServer.Source => ({
  handlers: Layer.mergeAll(ReadHandlers.layer(options), ControlHandlers.layer(options)),
  metrics: OwnMetrics.format,
  changesIntentions: options.intentions !== undefined
})
