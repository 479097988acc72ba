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
  const adHoc = yield* describedBy(options)
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

/** The proxy that the flags describe, unless they name one that is registered: that wins, as it does for Consul's own. */
const describedBy = Effect.fnUntraced(function*(options: Flags.Options) {
  if (Option.isNone(options.proxyId) && Option.isNone(options.sidecarFor)) {
    return yield* Effect.mapError(
      Effect.fromResult(AdHoc.parse(options)),
      (why) => new Registered.UsageError({ why })
    )
  }
  const ignored = AdHoc.given(options)
  if (ignored.length > 0) {
    yield* Effect.logWarning(
      `${ignored.join(", ")}: ignored, as a registered proxy is named. What it does is said in its registration`
    )
  }
  return undefined
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
