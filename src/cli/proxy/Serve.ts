/** Runs the sidecar that the options name or describe, until it is interrupted, fails or has left. */
import { Effect, Option } from "effect"
import * as Fleet from "../../admin/Fleet.ts"
import * as Marks from "../../http/relay/Marks.ts"
import * as Audit from "../../intention/Audit.ts"
import * as ConsulSidecar from "../../sidecar/ConsulSidecar.ts"
import * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import * as Log from "../Log.ts"
import * as AdHoc from "./AdHoc.ts"
import * as Admin from "./Admin.ts"
import type * as Flags from "./Flags.ts"
import * as Registered from "./Registered.ts"

export const serve = Effect.fn(function*(options: Flags.Options) {
  const adHoc = yield* AdHoc.described(options)
  const fleet = Fleet.single()
  yield* Admin.open(options, fleet)
  const start = Effect.gen(function*() {
    const registration = adHoc === undefined
      ? ProxyRegistration.layer({ proxyId: yield* Registered.proxyId(options) })
      : ProxyRegistration.layerDescribed(adHoc.registration)
    return yield* ConsulSidecar.makeFrom(registration, settings(options))
  })
  const sidecar = yield* fleet.start(nameOf(options), start)
  if (adHoc?.register === true) yield* AdHoc.register(adHoc.registration)
  yield* Log.announce(options, ConsulSidecar.describe(sidecar), ConsulSidecar.keys(sidecar))
  return yield* Effect.raceFirst(sidecar.failed, sidecar.left)
})

/** As it was asked for. */
const nameOf = ({ proxyId, service, sidecarFor }: Flags.Options): string =>
  Option.getOrElse(Option.firstSomeOf([proxyId, sidecarFor, service]), () => "")

const settings = (options: Flags.Options): ConsulSidecar.Options => ({
  readyWithin: `${options.startTimeout} seconds`,
  spiffe: options.spiffe,
  marks: {
    ...(options.withoutEnvoyHeaders ? Marks.none : Marks.envoy),
    server: options.serverHeader === "" ? undefined : options.serverHeader
  },
  shutdownDelay: options.shutdownDelay,
  drain: options.drainTimeout,
  audit: options.audit ? Audit.everywhere : Audit.nowhere,
  ...Option.match(options.defaultPolicy, { onNone: () => ({}), onSome: (defaultPolicy) => ({ defaultPolicy }) })
})
