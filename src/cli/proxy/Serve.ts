/** Runs the sidecar that the options name, until it is interrupted. */
import { Effect, Option } from "effect"
import * as Marks from "../../http/relay/Marks.ts"
import * as Audit from "../../intention/Audit.ts"
import * as ConsulSidecar from "../../sidecar/ConsulSidecar.ts"
import * as Log from "../Log.ts"
import type * as Flags from "./Flags.ts"
import * as Registered from "./Registered.ts"

export const serve = Effect.fn(function*(options: Flags.Options) {
  const sidecar = yield* ConsulSidecar.make({
    proxyId: yield* Registered.proxyId(options),
    readyWithin: `${options.startTimeout} seconds`,
    spiffe: options.spiffe,
    marks: {
      ...(options.withoutEnvoyHeaders ? Marks.none : Marks.envoy),
      server: options.serverHeader === "" ? undefined : options.serverHeader
    },
    audit: options.audit ? Audit.everywhere : Audit.nowhere,
    ...Option.match(options.defaultPolicy, { onNone: () => ({}), onSome: (defaultPolicy) => ({ defaultPolicy }) })
  })
  yield* Log.announce(options, ConsulSidecar.describe(sidecar), ConsulSidecar.keys(sidecar))
  return yield* Effect.never
})
