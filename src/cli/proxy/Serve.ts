/** Runs the sidecars that the options name or describe, until it is interrupted, fails or has left. */
import { Effect, type Layer, Option, Result, Scope } from "effect"
import * as Fleet from "../../admin/Fleet.ts"
import type * as ConsulClient from "../../consul/ConsulClient.ts"
import * as Audit from "../../intention/Audit.ts"
import type * as Listening from "../../net/Listening.ts"
import type * as LogThreshold from "../../observe/LogThreshold.ts"
import * as ConsulSidecar from "../../sidecar/ConsulSidecar.ts"
import * as OpenFiles from "../../sidecar/OpenFiles.ts"
import type * as Selection from "../../sidecar/Selection.ts"
import type * as Sidecar from "../../sidecar/Sidecar.ts"
import * as Sidecars from "../../sidecar/Sidecars.ts"
import * as ProxyRegistration from "../../watch/ProxyRegistration.ts"
import type * as Watched from "../../watch/Watched.ts"
import * as Log from "../Log.ts"
import * as Worker from "../workers/Worker.ts"
import * as AccessLogFlags from "./AccessLogFlags.ts"
import * as AdHoc from "./AdHoc.ts"
import * as Admin from "./Admin.ts"
import type * as Fed from "./Fed.ts"
import type * as Flags from "./Flags.ts"
import * as MarksFlags from "./MarksFlags.ts"
import * as Registered from "./Registered.ts"
import * as ServerFlags from "./ServerFlags.ts"

type Failure =
  | Registered.Failure
  | Watched.NotReady
  | Listening.ListenError
  | Sidecar.SidecarFailed
  | Effect.Error<ReturnType<typeof AdHoc.register>>
  | Effect.Error<ReturnType<typeof Admin.open>>
  | Effect.Error<ReturnType<typeof Fed.open>>

/** Whether the options name or describe something. */
export const check = (options: Flags.Options) =>
  ServerFlags.addresses(options) !== undefined
    ? Effect.void
    : Effect.fromResult(
      Result.flatMap(
        Registered.named(options),
        (named): Result.Result<unknown, Registered.UsageError> =>
          named === undefined ? AdHoc.described(options) : Result.succeed(named)
      )
    )

export const serve = Effect.fn(function*(
  options: Flags.Options
): Effect.fn.Return<void, Failure, ConsulClient.ConsulClient | LogThreshold.LogThreshold | Scope.Scope> {
  yield* OpenFiles.warnIfFew()
  const servers = ServerFlags.addresses(options)
  if (servers !== undefined) return yield* fed(options, servers)
  const named = yield* Effect.fromResult(Registered.named(options))
  if (named === undefined) {
    const { register, registration } = yield* Effect.fromResult(AdHoc.described(options))
    const source = Effect.succeed(ProxyRegistration.layerDescribed(registration))
    return yield* one(
      options,
      registration.service,
      source,
      register && Worker.isFirst ? AdHoc.register(registration) : Effect.void
    )
  }
  yield* AdHoc.warnIfGiven(options)
  if (named._tag === "Several") return yield* several(options, named.wanted)
  const source = Effect.map(Registered.proxyId(named, options), (proxyId) => ProxyRegistration.layer({ proxyId }))
  return yield* one(options, named.name, source, Effect.void)
})

/** By what servers say, without an agent. */
const fed = Effect.fnUntraced(function*(options: Flags.Options, servers: string) {
  const Fed = yield* Effect.promise(() => import("./Fed.ts"))
  const { asked, feed, proxyId } = yield* Fed.open(options, servers)
  yield* run(options, proxyId, ConsulSidecar.makeFed(feed, { ...settings(options), asked }), Effect.void)
})

const one = Effect.fnUntraced(function*<E, E2, R2>(
  options: Flags.Options,
  name: string,
  source: Effect.Effect<
    Layer.Layer<ProxyRegistration.ProxyRegistration, never, ConsulClient.ConsulClient>,
    E,
    ConsulClient.ConsulClient
  >,
  then: Effect.Effect<unknown, E2, R2>
) {
  const start = Effect.flatMap(source, (registration) => ConsulSidecar.makeFrom(registration, settings(options)))
  yield* run(options, name, start, then)
})

/** What goes wrong at its start, or with it as a whole, ends the program. `then`: once it accepts. */
const run = Effect.fnUntraced(function*<E, R, E2, R2>(
  options: Flags.Options,
  name: string,
  start: Effect.Effect<ConsulSidecar.ConsulSidecar, E, R>,
  then: Effect.Effect<unknown, E2, R2>
) {
  const fleet = Fleet.single()
  yield* Admin.open(options, fleet, ServerFlags.addresses(options))
  const sidecar = yield* fleet.start(name, start)
  yield* then
  yield* announce(options, sidecar)
  yield* Worker.sayAccepting
  yield* Effect.raceFirst(sidecar.failed, sidecar.left)
})

/** What goes wrong with one of them does not end the program. */
const several = Effect.fnUntraced(function*(options: Flags.Options, wanted: Selection.Wanted) {
  // It tells of the sidecars, and so opens after they are there. It closes after they have left, all the same.
  const admin = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const sidecars = yield* Sidecars.make({
    ...settings(options),
    wanted,
    started: (sidecar) => announce(options, sidecar)
  })
  yield* Scope.provide(Admin.open(options, Fleet.of(sidecars)), admin)
  yield* sidecars.heard
  yield* Worker.sayAccepting
  yield* sidecars.left
})

/** Workers have the same to say. */
const announce = (options: Flags.Options, sidecar: ConsulSidecar.ConsulSidecar) =>
  Worker.isFirst
    ? Log.announce(options, ConsulSidecar.describe(sidecar), ConsulSidecar.keys(sidecar))
    : Effect.void

const settings = (options: Flags.Options): ConsulSidecar.Options => ({
  readyWithin: `${options.startTimeout} seconds`,
  spiffe: options.spiffe,
  accessLog: AccessLogFlags.choice(options),
  marks: MarksFlags.marks(options),
  tunnels: !options.withoutTunnels,
  worker: Worker.current,
  shutdownDelay: options.shutdownDelay,
  drain: options.drainTimeout,
  audit: options.audit ? Audit.everywhere : Audit.nowhere,
  ...Option.match(options.defaultPolicy, { onNone: () => ({}), onSome: (defaultPolicy) => ({ defaultPolicy }) })
})
