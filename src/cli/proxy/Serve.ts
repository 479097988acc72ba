/** Runs the sidecar that the options name or describe, until it is interrupted. */
import { Effect, Option } from "effect"
import * as Marks from "../../http/relay/Marks.ts"
import * as Audit from "../../intention/Audit.ts"
import * as ConsulSidecar from "../../sidecar/ConsulSidecar.ts"
import * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import * as Log from "../Log.ts"
import * as AdHoc from "./AdHoc.ts"
import type * as Flags from "./Flags.ts"
import * as Registered from "./Registered.ts"

export const serve = Effect.fn(function*(options: Flags.Options) {
  const adHoc = yield* AdHoc.described(options)
  const sidecar = yield* ConsulSidecar.makeFrom(
    adHoc === undefined
      ? ProxyRegistration.layer({ proxyId: yield* Registered.proxyId(options) })
      : ProxyRegistration.layerDescribed(adHoc.registration),
    settings(options)
  )
  if (adHoc?.register === true) yield* AdHoc.register(adHoc.registration)
  yield* Log.announce(options, ConsulSidecar.describe(sidecar), ConsulSidecar.keys(sidecar))
  return yield* sidecar.failed
})

const settings = (options: Flags.Options): ConsulSidecar.Options => ({
  readyWithin: `${options.startTimeout} seconds`,
  spiffe: options.spiffe,
  marks: {
    ...(options.withoutEnvoyHeaders ? Marks.none : Marks.envoy),
    server: options.serverHeader === "" ? undefined : options.serverHeader
  },
  audit: options.audit ? Audit.everywhere : Audit.nowhere,
  ...Option.match(options.defaultPolicy, { onNone: () => ({}), onSome: (defaultPolicy) => ({ defaultPolicy }) })
})
